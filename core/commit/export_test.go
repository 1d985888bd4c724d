package commit

// Adrift returns how many marks of failed transactions are to be tried again.
func (c *Committer) Adrift() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.adrift
}
