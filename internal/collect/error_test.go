package collect

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
)

// TestErrorsNameTheRightsOfTheirRow: GetBucketPolicy is a call of two rows, and takes another right for directory buckets.
func TestErrorsNameTheRightsOfTheirRow(t *testing.T) {
	for _, row := range Rows() {
		for _, c := range row.Calls {
			err := &smithy.OperationError{ServiceID: c.Service, OperationName: c.Operation, Err: &smithy.GenericAPIError{Code: "AccessDenied"}}
			if why := explain(&rowError{err, &row}); !strings.Contains(why, "(needs "+strings.Join(c.Actions, ", ")+")") {
				t.Errorf("%s, %s: %s", row.Name, c, why)
			}
		}
	}
}

type document struct {
	text string
	err  error
}

func (d document) MarshalSmithyDocument() ([]byte, error) { return []byte(d.text), d.err }

func TestDocumentOf(t *testing.T) {
	for _, broken := range []document{{text: "{"}, {err: errors.New("a value without JSON")}} {
		if text, err := documentOf(broken); err == nil || text != nil {
			t.Errorf("%+v: %s, %v", broken, text, err)
		}
	}
	if text, err := documentOf(document{text: `{"a":1}`}); err != nil || !json.Valid(text) {
		t.Errorf("%s, %v", text, err)
	}
	if _, code, _ := describe(unreadable("S3", "ListBuckets", errors.New("x"))); code != "UnreadableAnswer" {
		t.Error(code)
	}
}
