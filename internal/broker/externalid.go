package broker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ExternalID is what the broker says to a role that it takes by AssumeRole, and the role's trust demands: for each vendor, or for the organisation's own, and each role another one (11). So one vendor's crossing cannot be led to where another may go, by whatever mistake of the
// broker's or of a registry's (confused deputy, IAM User Guide). It is no secret, and nobody else knows it.
type ExternalID struct {
	Vendor string `json:"vendor,omitempty"`
	Role   string `json:"role"`
	// Current is sent. Next is to take its place: the trust has to take both before.
	Current string    `json:"current"`
	Next    string    `json:"next,omitempty"`
	Made    time.Time `json:"made"` // the current one
	Begun   time.Time `json:"begun,omitzero"`
}

// ErrExternalID says why an ExternalId cannot be changed like this.
var ErrExternalID = errors.New("the ExternalId cannot be changed like this")

// ExternalIDs keeps them. A value is never used for a second vendor or role, nor again.
type ExternalIDs interface {
	// ExternalID is the one for a vendor and role; where there is none, value becomes it, and that is recorded.
	ExternalID(ctx context.Context, vendor, role, value string, at time.Time) (*ExternalID, error)
	// ChangeExternalID lets do change one that is there; ErrNotFound where it is not.
	ChangeExternalID(ctx context.Context, vendor, role, by string, at time.Time, do func(*ExternalID) error) (*ExternalID, error)
}

// Rotate begins to change it.
func (x *ExternalID) Rotate(value string, at time.Time) error {
	if x.Next != "" {
		return fmt.Errorf("%w: it is being changed already; promote the next one, when the trust takes it", ErrExternalID)
	}
	x.Next, x.Begun = value, at.UTC().Truncate(time.Microsecond)
	return nil
}

// Promote sends the next one from now on. The old one is never sent again.
func (x *ExternalID) Promote(at time.Time) error {
	if x.Next == "" {
		return fmt.Errorf("%w: it is not being changed", ErrExternalID)
	}
	x.Current, x.Made, x.Next, x.Begun = x.Next, at.UTC().Truncate(time.Microsecond), "", time.Time{}
	return nil
}

// Values are those that the trust has to take.
func (x *ExternalID) Values() []string {
	if x.Next == "" {
		return []string{x.Current}
	}
	return []string{x.Current, x.Next}
}

// ExternalIDChanged: an ExternalId was made, or is being changed, or was. The values are not in the log.
type ExternalIDChanged struct {
	Vendor string `json:"vendor,omitempty"`
	Role   string `json:"role"`
	What   string `json:"what"` // made, begun, promoted
}

func (ExternalIDChanged) Kind() string { return "external-id.changed" }
