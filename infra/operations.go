package infra

import (
	"encoding/json"
	"fmt"
	"strings"
)

// dimension is one dimension of a metric: its name and a value, in the form of
// Fn::Sub.
type dimension struct{ name, value string }

// alarm is what an alarm watches. It goes off when the statistic reaches the
// threshold in as many periods of five minutes as it says.
type alarm struct {
	doc        string
	namespace  string
	metric     string
	dimensions []dimension
	statistic  string // "p99" and the like, too
	threshold  float64
	periods    int
	// falls says that it goes off when the statistic is below the threshold, or
	// not there.
	falls bool
}

// period is how long, in seconds, alarms and graphs sum up.
const period = 300

func (a alarm) resource() object {
	dimensions := []object{}
	for _, d := range a.dimensions {
		var value any = d.value
		if strings.Contains(d.value, "${") {
			value = sub(d.value)
		}
		dimensions = append(dimensions, object{"Name": d.name, "Value": value})
	}
	p := object{
		"AlarmName":        sub("${Deployment}: " + a.doc),
		"AlarmDescription": a.doc, "Namespace": a.namespace, "MetricName": a.metric, "Dimensions": dimensions,
		"Period": period, "EvaluationPeriods": a.periods, "Threshold": a.threshold,
		"ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching",
		"AlarmActions": []object{ref("Alarms")}, "OKActions": []object{ref("Alarms")},
	}
	if a.statistic[0] == 'p' {
		p["ExtendedStatistic"] = a.statistic
	} else {
		p["Statistic"] = a.statistic
	}
	if a.falls {
		p["ComparisonOperator"], p["TreatMissingData"] = "LessThanThreshold", "breaching"
	}
	return object{"Type": "AWS::CloudWatch::Alarm", "Properties": p}
}

// lambdaName is the name of a function, in the form of Fn::Sub.
func lambdaName(function string) []dimension {
	return []dimension{{"FunctionName", "${Deployment}-" + function}}
}

// measured are the dimensions of what a function measures of itself.
func measured(function string) []dimension {
	return []dimension{{"Deployment", "${Deployment}"}, {"Function", function}}
}

// alarms returns the alarms, by the names of their resources.
func alarms() map[string]alarm {
	all := map[string]alarm{
		"EventsIteratorAge": {"usage is more than fifteen minutes behind", "AWS/Lambda", "IteratorAge", lambdaName(usageFunction), "Maximum", 900_000, 1, false},
		"IteratorAge":       {"derived values are more than a minute behind", "AWS/Lambda", "IteratorAge", lambdaName("rollup"), "Maximum", 60_000, 1, false},
		"DeadLetters": {"changes lie in the dead-letter queue", "AWS/SQS", "ApproximateNumberOfMessagesVisible",
			[]dimension{{"QueueName", "${DeadLettersName}"}}, "Maximum", 1, 1, false},
		"UploadsDeadLetters": {"uploads have come to a standstill", "AWS/SQS", "ApproximateNumberOfMessagesVisible",
			[]dimension{{"QueueName", "${UploadsDeadLettersName}"}}, "Maximum", 1, 1, false},
		"SourcesDeadLetters": {"runs of sources fail again and again", "AWS/SQS", "ApproximateNumberOfMessagesVisible",
			[]dimension{{"QueueName", "${SourcesDeadLettersName}"}}, "Maximum", 1, 1, false},
		"ChangesPutOff":       {"accounts could not be derived", "Tenure", "ChangesPutOff", measured("rollup"), "Sum", 1, 3, false},
		"EventsPutOff":        {"usage events could not be counted", "Tenure", "ChangesPutOff", measured(usageFunction), "Sum", 1, 3, false},
		"TicksMissing":        {"the clock has stopped", "AWS/Lambda", "Invocations", lambdaName("clock"), "Sum", 1, 2, true},
		"TicksFailed":         {"the clock cannot do its work", "Tenure", "TicksFailed", measured("clock"), "Sum", 1, 3, false},
		"SyncTicksMissing":    {"nothing looks for sources that are due", "Tenure", "Ticks", measured(syncFunction), "Sum", 1, 2, true},
		"SyncTicksFailed":     {"sources that are due cannot be told", "Tenure", "TicksFailed", measured(syncFunction), "Sum", 1, 3, false},
		"GatewayErrors":       {"the API answers with errors of the server", "AWS/ApiGateway", "5XXError", gateway, "Sum", 1, 1, false},
		"EventsGatewayErrors": {"usage events are answered with errors of the server", "AWS/ApiGateway", "5XXError", eventsGateway, "Sum", 1, 1, false},
		"GatewayLatency": {"one request in a hundred takes more than 20 seconds", "AWS/ApiGateway", "Latency",
			gateway, "p99", 20_000, 2, false},
		"TableErrors": {"DynamoDB fails", "AWS/DynamoDB", "SystemErrors", []dimension{{"TableName", "${TableName}"}}, "Sum", 5, 1, false},
		"TableThrottled": {"DynamoDB throttles", "AWS/DynamoDB", "ThrottledRequests",
			[]dimension{{"TableName", "${TableName}"}}, "Sum", 100, 2, false},
	}
	for _, function := range Functions() {
		id := LogicalID(function)
		all[id+"Errors"] = alarm{"the function " + function + " fails", "AWS/Lambda", "Errors", lambdaName(function), "Sum", 1, 1, false}
		all[id+"Throttles"] = alarm{"the function " + function + " is throttled", "AWS/Lambda", "Throttles", lambdaName(function), "Sum", 1, 1, false}
	}
	return all
}

var (
	gateway       = []dimension{{"ApiName", "${Deployment}"}, {"Stage", "${Stage}"}}
	eventsGateway = []dimension{{"ApiName", "${Deployment}-events"}, {"Stage", "${Stage}"}}
)

// line is one line of a graph.
type line struct {
	namespace, metric string
	dimensions        []dimension
	statistic         string
}

// graph returns a widget of the dashboard.
func graph(at int, title string, lines ...line) object {
	const across, width, height = 3, 8, 6
	metrics := []any{}
	for _, l := range lines {
		m := []any{l.namespace, l.metric}
		for _, d := range l.dimensions {
			m = append(m, d.name, d.value)
		}
		metrics = append(metrics, append(m, object{"stat": l.statistic}))
	}
	return object{
		"type": "metric", "width": width, "height": height, "x": at % across * width, "y": at / across * height,
		"properties": object{"title": title, "region": "${AWS::Region}", "period": period, "metrics": metrics},
	}
}

// ofAll returns one line a function of a metric that functions measure.
func ofAll(namespace, metric, statistic string, dimensions func(string) []dimension) []line {
	var lines []line
	for _, function := range Functions() {
		lines = append(lines, line{namespace, metric, dimensions(function), statistic})
	}
	return lines
}

// dashboard returns the body of the dashboard, in the form of Fn::Sub.
func dashboard() (string, error) {
	table := func(metric string) line {
		return line{"AWS/DynamoDB", metric, []dimension{{"TableName", "${TableName}"}}, "Sum"}
	}
	widgets := []object{}
	for _, g := range []struct {
		title string
		lines []line
	}{
		{"Requests", []line{{"AWS/ApiGateway", "Count", gateway, "Sum"}, {"AWS/ApiGateway", "4XXError", gateway, "Sum"}, {"AWS/ApiGateway", "5XXError", gateway, "Sum"}}},
		{"Latency, ms", []line{{"AWS/ApiGateway", "Latency", gateway, "p50"}, {"AWS/ApiGateway", "Latency", gateway, "p99"}}},
		{"Time a request takes in its function, p95, ms", ofAll("Tenure", "Duration", "p95", measured)},
		{"Records inserted", ofAll("Tenure", "RecordsInserted", "Sum", measured)},
		{"Records changed", ofAll("Tenure", "RecordsChanged", "Sum", measured)},
		{"Records that failed", ofAll("Tenure", "RecordsFailed", "Sum", measured)},
		{"Function errors", ofAll("AWS/Lambda", "Errors", "Sum", lambdaName)},
		{"Function throttles", ofAll("AWS/Lambda", "Throttles", "Sum", lambdaName)},
		{"Functions at the same time", ofAll("AWS/Lambda", "ConcurrentExecutions", "Maximum", lambdaName)},
		{"Derived values: age, ms", []line{{"AWS/Lambda", "IteratorAge", lambdaName("rollup"), "Maximum"}}},
		{"Derived values: changes", []line{{"Tenure", "Changes", measured("rollup"), "Sum"}, {"Tenure", "ChangesPutOff", measured("rollup"), "Sum"},
			{"Tenure", "ChangesUnreadable", measured("rollup"), "Sum"}}},
		{"Usage events: requests", []line{{"AWS/ApiGateway", "Count", eventsGateway, "Sum"}, {"AWS/ApiGateway", "4XXError", eventsGateway, "Sum"}, {"AWS/ApiGateway", "5XXError", eventsGateway, "Sum"}}},
		{"Usage events: age when counted, ms", []line{{"AWS/Lambda", "IteratorAge", lambdaName(usageFunction), "Maximum"}}},
		{"Work by queues: messages", []line{{"Tenure", "Messages", measured(uploadsFunction), "Sum"}, {"Tenure", "MessagesFailed", measured(uploadsFunction), "Sum"},
			{"Tenure", "Messages", measured(syncFunction), "Sum"}, {"Tenure", "MessagesFailed", measured(syncFunction), "Sum"}}},
		{"Table: units consumed", []line{table("ConsumedReadCapacityUnits"), table("ConsumedWriteCapacityUnits")}},
	} {
		widgets = append(widgets, graph(len(widgets), g.title, g.lines...))
	}
	body, err := json.Marshal(object{"widgets": widgets})
	return string(body), err
}

// Operations returns the template of the alarms and the dashboard.
func Operations() ([]byte, error) {
	body, err := dashboard()
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	resources := object{
		"Alarms": object{
			"Type": "AWS::SNS::Topic",
			"Properties": object{
				"TopicName": sub("${Deployment}-alarms"), "KmsMasterKeyId": ref("KeyArn"),
			},
		},
		"AlarmEmail": object{
			"Type": "AWS::SNS::Subscription", "Condition": "HasEmail",
			"Properties": object{"TopicArn": ref("Alarms"), "Protocol": "email", "Endpoint": ref("Email")},
		},
		"Dashboard": object{
			"Type":       "AWS::CloudWatch::Dashboard",
			"Properties": object{"DashboardName": sub("${Deployment}-${AWS::Region}"), "DashboardBody": sub(body)},
		},
	}
	for id, a := range alarms() {
		resources[id] = a.resource()
	}
	return render(object{
		"Description": "Alarms and dashboard. " + generated,
		"Parameters": object{
			"Deployment": parameter("Name of the deployment"), "Stage": parameter("Stage of the API"), "TableName": parameter("Name of the table"),
			"DeadLettersName":        parameter("Name of the queue of changes that could not be read"),
			"UploadsDeadLettersName": parameter("Name of the queue of work on uploads that has failed again and again"),
			"SourcesDeadLettersName": parameter("Name of the queue of runs of sources that have failed again and again"),
			"KeyArn":                 parameter("ARN of the key that encrypts alarms on their way"),
			"Email":                  object{"Type": "String", "Default": "", "Description": "Where alarms are sent; empty for nowhere"},
		},
		"Conditions": object{"HasEmail": object{"Fn::Not": []any{object{"Fn::Equals": []any{ref("Email"), ""}}}}},
		"Resources":  resources,
		"Outputs":    object{"Topic": object{"Value": ref("Alarms")}},
	})
}
