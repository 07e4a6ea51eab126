package s3_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"tenure/core/files"
	"tenure/core/files/filestest"
	"tenure/core/files/s3"
	"tenure/localstack/ministack"
)

func TestMain(m *testing.M) { os.Exit(ministack.Main(m)) }

func TestOnS3(t *testing.T) {
	config := ministack.Config(t)
	client := s3.NewClient(config)
	open := func(t *testing.T, bucket string) *s3.Store {
		t.Helper()
		if _, err := client.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &bucket}); err != nil {
			t.Fatal(err)
		}
		return s3.Open(client, bucket)
	}
	t.Run("contract", func(t *testing.T) {
		filestest.Run(t, open(t, "contract"))
		// What broke off occupies no room either.
		left, err := client.ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: aws.String("contract")})
		if err != nil || len(left.Uploads) > 0 {
			t.Errorf("%d parts of files are left behind, %v", len(left.Uploads), err)
		}
	})
	t.Run("more files than one request removes", func(t *testing.T) {
		s := open(t, "many")
		for i := range 1100 {
			if _, err := s.Write(t.Context(), fmt.Sprintf("acme/u/%d", i), strings.NewReader("x"), 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Remove(t.Context(), "acme/u/"); err != nil {
			t.Fatal(err)
		}
		left, err := client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("many")})
		if err != nil || len(left.Contents) > 0 {
			t.Errorf("%d are left, %v", len(left.Contents), err)
		}
	})
	t.Run("a browser's form", func(t *testing.T) { testForm(t, open(t, "form")) })
	t.Run("a store that cannot be reached", func(t *testing.T) {
		unreachable := config.Copy()
		unreachable.BaseEndpoint = aws.String("http://127.0.0.1:1")
		unreachable.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
		s := s3.Open(s3.NewClient(unreachable), "contract")
		if _, err := s.Stat(t.Context(), "acme/x"); err == nil || errors.Is(err, files.ErrNotFound) {
			t.Errorf("stat: %v", err)
		}
		if _, err := s.Write(t.Context(), "acme/x", strings.NewReader("x"), 1); err == nil {
			t.Error("written")
		}
	})
}

// send sends a form as a browser does, changed, and returns the status.
func send(t *testing.T, form *files.Form, content string, change func(name, value string) string) int {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range form.Fields {
		if err := w.WriteField(f.Name, change(f.Name, f.Value)); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "accounts of today.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	response, err := http.Post(form.Action, w.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func testForm(t *testing.T, s *s3.Store) {
	const name = "acme/uploads/1/file"
	form, err := s.Form(t.Context(), name, 10)
	if err != nil {
		t.Fatal(err)
	}
	asIs := func(_, value string) string { return value }
	if got := send(t, form, "0123456789", asIs); got != http.StatusNoContent {
		t.Errorf("status %d", got)
	}
	if info, err := s.Stat(t.Context(), name); err != nil || info.Size != 10 {
		t.Errorf("%+v, %v", info, err)
	}
	if got := send(t, form, "0123456789A", asIs); got != http.StatusBadRequest {
		t.Errorf("more than the limit: status %d", got)
	}
	for what, change := range map[string]func(name, value string) string{
		"another name": func(name, value string) string {
			if name == "key" {
				return "beta/uploads/1/file"
			}
			return value
		},
		"another limit": func(name, value string) string {
			if name == "policy" {
				policy, err := base64.StdEncoding.DecodeString(value)
				if err != nil || !bytes.Contains(policy, []byte(`"content-length-range",0,10`)) {
					t.Errorf("policy %s, %v", policy, err)
				}
				value = base64.StdEncoding.EncodeToString(bytes.Replace(policy, []byte(",0,10"), []byte(",0,99"), 1))
			}
			return value
		},
	} {
		if got := send(t, form, "x", change); got != http.StatusForbidden {
			t.Errorf("%s: status %d", what, got)
		}
	}
	if _, err := s.Stat(t.Context(), "beta/uploads/1/file"); !errors.Is(err, files.ErrNotFound) {
		t.Errorf("another's file: %v", err)
	}
	if got, want := form.Origin(), strings.TrimSuffix(form.Action, "/form"); got != want {
		t.Errorf("its origin is %s, want %s", got, want)
	}
	if _, err := s.Form(t.Context(), "../x", 10); !errors.Is(err, files.ErrInvalid) {
		t.Errorf("a form for no file: %v", err)
	}
}
