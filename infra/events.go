package infra

import (
	"encoding/json"

	"tenure/core/api"
)

// usageFunction is the name of the function that counts usage events.
const usageFunction = "usage"

// The partitions of usage events and of what is counted of them (see core/usage).
const (
	eventsPartitions = "*/usage/log"
	usagePartitions  = "*/usage/*"
	usersUsage       = "*/usage/user/*"
	accountsUsage    = "*/usage/account/*"
	workspacesUsage  = "*/usage/all/*"
	usageSettings    = "*/usage/settings"
)

// counted are the partitions of what is counted of usage events, and of those events
// that wait for it.
var counted = []string{usersUsage, "*/usage/users/*", "*/usage/counted/*", accountsUsage, "*/usage/accounts/*", workspacesUsage, "*/usage/waiting/*", "*/usage/put-off"}

// EventsGateway returns the description of the API that usage events are sent to. It
// is one of its own, with a host of its own: what API Gateway counts, throttles and
// logs of it has nothing to do with the Account API. It is a snippet of a
// CloudFormation template.
func EventsGateway() ([]byte, error) {
	o := operation(api.Route{Path: api.EventsPath, Function: api.EventsFunction})
	return snippet("${AWS::StackName}-events", "1", object{api.EventsPath: object{"x-amazon-apigateway-any-method": o}})
}

// snippet returns the description of an API that API Gateway takes.
func snippet(title, version string, paths object) ([]byte, error) {
	text, err := json.MarshalIndent(object{
		"openapi":                               "3.0.1",
		"info":                                  object{"title": sub(title), "version": version},
		"paths":                                 paths,
		"x-amazon-apigateway-gateway-responses": responses(),
	}, "", " ")
	return append(text, '\n'), err
}
