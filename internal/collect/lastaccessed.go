package collect

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
)

const lastAccessedRow = "Services that a role used"

// lastAccessedDays is how far back IAM remembers which services a principal used.
const lastAccessedDays = 400

// lastAccessedTries is how often IAM is asked whether a report is made: it takes seconds.
const lastAccessedTries = 30

// readLastAccessed asks IAM which services each role used, which becomes lines accessAdvisor of usage.json. Roles that AWS itself uses are passed over.
func readLastAccessed(t *task) {
	t.facts.mu.Lock()
	roles := slices.Clone(t.facts.roles)
	t.facts.mu.Unlock()
	c := iam.NewFromConfig(t.cfg)
	each(t, roles, func(role string) {
		if strings.Contains(role, ":role/aws-service-role/") {
			return
		}
		job := must(t, role, c.GenerateServiceLastAccessedDetails, &iam.GenerateServiceLastAccessedDetailsInput{Arn: &role}, "NoSuchEntity")
		if job == nil || job.JobId == nil {
			return
		}
		used, unused := []string{}, []string{}
		in := &iam.GetServiceLastAccessedDetailsInput{JobId: job.JobId, MaxItems: aws.Int32(1000)}
		broken := func(why error) {
			t.fail(role, &smithy.OperationError{ServiceID: "IAM", OperationName: "GetServiceLastAccessedDetails", Err: why})
		}
		for waited := 0; ; {
			out := must(t, role, c.GetServiceLastAccessedDetails, in)
			switch {
			case out == nil:
				return
			case out.JobStatus == types.JobStatusTypeFailed:
				broken(errors.New("IAM could not make the report"))
				return
			case out.JobStatus != types.JobStatusTypeCompleted:
				if waited++; waited == lastAccessedTries {
					broken(errors.New("the report was not made in time"))
					return
				}
				if !t.pause(min(time.Duration(waited)*500*time.Millisecond, 5*time.Second)) {
					return
				}
				continue
			}
			for _, s := range out.ServicesLastAccessed {
				if s.LastAuthenticated != nil {
					used = append(used, aws.ToString(s.ServiceNamespace))
				} else {
					unused = append(unused, aws.ToString(s.ServiceNamespace))
				}
			}
			if !out.IsTruncated {
				break
			}
			if aws.ToString(out.Marker) == aws.ToString(in.Marker) {
				broken(errRepeated)
				return
			}
			in.Marker = out.Marker
		}
		slices.Sort(used)
		slices.Sort(unused)
		t.facts.mu.Lock()
		defer t.facts.mu.Unlock()
		t.facts.usage = append(t.facts.usage, map[string]any{"accessAdvisor": role, "used": used, "unused": unused, "window": lastAccessedDays})
	})
}
