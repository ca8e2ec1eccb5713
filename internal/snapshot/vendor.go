package snapshot

import "time"

// KnownVendor is a known third party and the AWS accounts it works from. Vendors are no part of a snapshot: they are known
// beside it, from a published list or from the registry.
type KnownVendor struct {
	Name     string
	Accounts []string // 12 digits each, sorted
	Status   VendorStatus
	Ended    time.Time // when the relationship ended; zero where it did not, or the input does not say
	Source   []string  // where the list has it from, for example the vendor's documentation
	AWS      bool      // an account of AWS itself, which writes logs or bills
}

// VendorStatus says whether a vendor is still one.
type VendorStatus string

const (
	VendorActive  VendorStatus = "active"
	VendorEnded   VendorStatus = "ended"
	VendorUnknown VendorStatus = "unknown" // the list does not say
)
