package connectors_test

import (
	"os"
	"testing"

	"tenure/core/connector/connectortest"
	"tenure/core/connectors"
	"tenure/core/connectors/standins"
)

// TestConnectors reads every system that there is a connector for, from a stand-in.
func TestConnectors(t *testing.T) {
	connectortest.Suite{Connectors: connectors.All(), StandIns: standins.All, Testdata: os.DirFS("testdata")}.Run(t)
}
