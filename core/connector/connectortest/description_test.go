package connectortest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const described = `{
	"openapi": "3.0.0", "info": {"title": "Shop", "version": "1"}, "servers": [{"url": "https://shop.example/api"}],
	"paths": {
		"/orders": {"get": {
			"parameters": [
				{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}},
				{"name": "created", "in": "query", "style": "deepObject", "explode": true, "schema": {"anyOf": [{"type": "object", "properties": {"gte": {"type": "integer"}}, "additionalProperties": false}, {"type": "integer"}]}},
				{"name": "kinds", "in": "query", "style": "deepObject", "explode": true, "schema": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}},
				{"name": "fields", "in": "query", "explode": false, "schema": {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}}},
				{"name": "Tenant", "in": "header", "required": true, "schema": {"type": "string"}}],
			"responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "array", "items": {
				"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "code": {"type": "string", "pattern": "/^[a-z]+$/i"}}}}}}}}}},
		"/orders/{id}": {"get": {"responses": {"200": {"description": ""}}}},
		"/orders/recent": {"post": {
			"requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object", "additionalProperties": false, "properties": {"after": {"type": "string"}}}}}},
			"responses": {"200": {"description": ""}}}}
	}}`

func TestRequestsAndAnswersAreComparedWithADescription(t *testing.T) {
	dir := fstest.MapFS{"openapi.json": file(described), "exceptions.json": file(`[
		{"request": "GET /orders", "about": "query cursor", "reason": "the list gives it"},
		{"request": "GET /api/old/*", "about": "path", "reason": "it is left out"},
		{"request": "GET /orders", "about": "query never", "reason": "nobody sends it"}]`)}
	d, err := readDescription(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		request, body, answer string
		differs               string
	}{
		{request: "GET /api/orders?limit=10&created[gte]=5&kinds[]=a&kinds[]=b&fields=x,y", answer: `[{"id":1,"code":"Ab"}]`},
		{request: "GET /tenant/7/api/orders", answer: `[]`}, // the same API elsewhere
		{request: "GET /api/orders?created=5", answer: `[]`},
		{request: "GET /api/orders?cursor=1", answer: `[]`},
		{request: "GET /api/old/orders"},
		{request: "GET /api/orders/7"},
		{request: "GET /api/orders", answer: `[{"id":1,"code":null}]`}, // sent in place of nothing
		{request: "GET /api/orders?limit=101", answer: `[]`, differs: "query limit"},
		{request: "GET /api/orders?limit=many", answer: `[]`, differs: "query limit"},
		{request: "GET /api/orders?created[gt]=5", answer: `[]`, differs: "query created"},
		{request: "GET /api/orders?kinds[]=c", answer: `[]`, differs: "query kinds"},
		{request: "GET /api/orders?fields=x,z", answer: `[]`, differs: "query fields"},
		{request: "GET /api/orders?sort=id", answer: `[]`, differs: "query sort"},
		{request: "GET /api/orders", answer: `[{"id":"1"}]`, differs: "answer/*/id"},
		{request: "GET /api/orders", answer: `[{"code":"1"}]`, differs: "answer/*/code answer/*/id"},
		{request: "GET /api/orders", answer: `[`, differs: "answer"},
		{request: "GET /api/orderz", differs: "path"},
		{request: "DELETE /api/orders", differs: "path"},
		{request: "GET /api/customers/7/api/orders", differs: "path"},
		{request: "GET /api/orders", answer: `[]`, body: `{}`, differs: "body"},
		{request: "POST /api/orders/recent", body: `{"after":"x"}`},
		{request: "POST /api/orders/recent", body: `{"before":"x"}`, differs: "body"},
		{request: "POST /api/orders/recent", body: `{"after":1}`, differs: "body/after"},
		{request: "POST /api/orders/recent", differs: "body"},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		r, err := http.NewRequest(method, "https://shop.example"+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Tenant", "1")
		var differs []string
		d.check(r, []byte(c.body), 200, []byte(c.answer), func(_ string, args ...any) { differs = append(differs, fmt.Sprint(args[2])) })
		slices.Sort(differs)
		if got := strings.Join(differs, " "); got != c.differs {
			t.Errorf("%s %s %s: %q differs, and must be %q", c.request, c.body, c.answer, got, c.differs)
		}
	}
	r, _ := http.NewRequest("GET", "https://shop.example/api/orders", nil)
	missing := ""
	d.check(r, nil, 200, []byte(`[]`), func(_ string, args ...any) { missing = fmt.Sprint(args[2]) })
	if missing != "header Tenant" {
		t.Errorf("a missing header is %q", missing)
	}
	if got := d.unneeded(); !slices.Equal(got, []string{"GET /orders query never"}) {
		t.Errorf("unneeded are %q", got)
	}
}
