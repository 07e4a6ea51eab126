package overview

// Pausing lets counts stop after n rows already.
func (c *Counter) Pausing(n int) *Counter {
	c.pausing = n
	return c
}
