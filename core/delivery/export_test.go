package delivery

// Idle waits until no drain runs.
func (e *Engine) Idle() { e.tasks.Wait() }
