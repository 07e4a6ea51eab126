package resource

import "tenure/core/table"

// dry returns an engine that does everything as e does, but writes nothing.
func (e *Engine) dry() *Engine { return e.On(table.NewOverlay(e.table)) }

// On returns an engine that does everything as e does, in another table.
func (e *Engine) On(t table.Table) *Engine {
	other := *e
	other.table = t
	return &other
}
