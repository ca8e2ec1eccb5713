package cloudtrail

import (
	"encoding/json"
	"strings"
	"time"

	"drawbridge/internal/usage"
)

// event is the part of an event that says who used what.
// Source: AWS CloudTrail User Guide, "CloudTrail record contents" and "CloudTrail userIdentity element".
type event struct {
	EventID            string    `json:"eventID"`
	SharedEventID      string    `json:"sharedEventID"`
	EventTime          time.Time `json:"eventTime"`
	EventSource        string    `json:"eventSource"`
	EventName          string    `json:"eventName"`
	AWSRegion          string    `json:"awsRegion"`
	RecipientAccountID string    `json:"recipientAccountId"`
	ErrorCode          string    `json:"errorCode"`
	SourceIPAddress    string    `json:"sourceIPAddress"`
	EventCategory      string    `json:"eventCategory"`
	ManagementEvent    *bool     `json:"managementEvent"`
	UserIdentity       identity  `json:"userIdentity"`
	RequestParameters  struct {
		RoleARN         text   `json:"roleArn"`
		DurationSeconds number `json:"durationSeconds"`
		SourceIdentity  text   `json:"sourceIdentity"`
	} `json:"requestParameters"` // null, or an object of the service's own: only what AssumeRole has is read
	Resources []struct {
		ARN       string `json:"ARN"`
		AccountID string `json:"accountId"`
	} `json:"resources"`
}

type identity struct {
	Type             string `json:"type"`
	ARN              string `json:"arn"`
	AccountID        string `json:"accountId"`
	UserName         string `json:"userName"`
	InvokedBy        string `json:"invokedBy"`
	IdentityProvider string `json:"identityProvider"`
	SessionContext   struct {
		SourceIdentity string `json:"sourceIdentity"`
		SessionIssuer  struct {
			ARN string `json:"arn"`
		} `json:"sessionIssuer"`
	} `json:"sessionContext"`
}

// text is a text; another kind of value, which other services may have under the same name, is none.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = text(s)
	}
	return nil
}

// number is a whole number that some events write as text.
type number int64

func (n *number) UnmarshalJSON(text []byte) error {
	*n = 0
	for _, c := range strings.Trim(string(text), `"`) {
		if c < '0' || c > '9' || *n > 1e9 {
			*n = 0
			return nil // not a number of seconds: left out, the event counts
		}
		*n = *n*10 + number(c-'0')
	}
	return nil
}

// reduce is the event as use; false where it has no time or no call.
func (e *event) reduce() (usage.Event, bool) {
	service, _, _ := strings.Cut(e.EventSource, ".")
	if !usage.InRange(e.EventTime) || e.EventName == "" || service == "" {
		return usage.Event{}, false
	}
	u := usage.Event{ID: e.EventID, Shared: e.SharedEventID, Time: e.EventTime.UTC(), Region: e.AWSRegion, Account: e.RecipientAccountID,
		Action: service + ":" + e.EventName, Denied: denied(e.ErrorCode), Source: e.SourceIPAddress, SourceIdentity: e.UserIdentity.SessionContext.SourceIdentity,
		// Events from before managementEvent and eventCategory were added say neither.
		Data: e.EventCategory == "Data" || e.EventCategory == "" && e.ManagementEvent != nil && !*e.ManagementEvent}
	u.Caller, u.CallerAccount = e.UserIdentity.caller()
	if u.Account == "" {
		u.Account = u.CallerAccount
	}
	if service == "sts" && strings.HasPrefix(e.EventName, "AssumeRole") {
		u.Target = string(e.RequestParameters.RoleARN)
		u.TargetAccount = accountOf(u.Target)
		u.Session = time.Duration(e.RequestParameters.DurationSeconds) * time.Second
		if u.SourceIdentity == "" {
			u.SourceIdentity = string(e.RequestParameters.SourceIdentity)
		}
		return u, true
	}
	for _, r := range e.Resources {
		if r.AccountID != "" && r.AccountID != u.CallerAccount && r.ARN != "" {
			u.Target, u.TargetAccount = r.ARN, r.AccountID
			break
		}
	}
	return u, true
}

// caller is who called: a session's role, a user, a service, a subject. A caller of another account is known there by its account only:
// the trail of its own account names it.
func (i *identity) caller() (name, account string) {
	switch i.Type {
	case "AssumedRole":
		return i.SessionContext.SessionIssuer.ARN, i.AccountID
	case "IAMUser", "Root":
		return i.ARN, i.AccountID
	case "FederatedUser":
		if issuer := i.SessionContext.SessionIssuer.ARN; issuer != "" {
			return issuer, i.AccountID
		}
		return i.ARN, i.AccountID
	case "AWSService":
		return i.InvokedBy, ""
	case "WebIdentityUser":
		return "oidc:" + strings.TrimPrefix(providerHost(i.IdentityProvider), "https://") + ":" + i.UserName, ""
	case "SAMLUser":
		return i.IdentityProvider, ""
	}
	return "", i.AccountID
}

func providerHost(provider string) string {
	if _, host, ok := strings.Cut(provider, ":oidc-provider/"); ok {
		return host
	}
	return provider
}

// denied: AWS refused the call for want of permission. A call that failed for another reason used its permission.
func denied(code string) bool {
	return code == "AccessDenied" || code == "AccessDeniedException" || strings.HasSuffix(code, "UnauthorizedOperation") || code == "UnauthorizedAccess"
}

func accountOf(arn string) string {
	fields := strings.SplitN(arn, ":", 6)
	if len(fields) < 6 {
		return ""
	}
	return fields[4]
}
