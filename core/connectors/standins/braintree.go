package standins

import "tenure/core/connector/connectortest"

func braintree(s *connectortest.Server) {}
