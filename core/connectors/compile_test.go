package connectors_test

import (
	"testing"

	"tenure/core/connector"
	"tenure/core/connectors"
	"tenure/core/mapping"
)

func TestEveryDeclarationHangsTogether(t *testing.T) {
	for _, c := range connectors.All() {
		if err := connector.Compile(c, mapping.Env{Currency: "USD"}); err != nil {
			t.Error(err)
		}
	}
}
