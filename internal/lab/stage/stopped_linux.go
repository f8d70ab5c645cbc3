package stage

import (
	"bytes"
	"fmt"
	"os"
)

// Stopped says whether the program is stopped by a signal at the moment.
func (p *Program) Stopped() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(state, []byte("T"))
}
