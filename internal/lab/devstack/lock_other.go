//go:build !unix

package devstack

// Lock is only needed where a stack can be started, which is not here.
func Lock(string) (release func(), err error) { return nil, ErrUnsupported }
