// Package connectors declares the systems that accounts can be kept in step with:
// one file each. What is particular to a system stands there and nowhere else.
package connectors

import "tenure/core/connector"

// All returns every connector, in the order of names.
func All() []*connector.Connector {
	return []*connector.Connector{}
}
