package audit

// IDs lists the invariants in the order of the design.
func IDs() (ids []string) {
	for _, c := range checks {
		ids = append(ids, c.id)
	}
	return ids
}
