package ref

import "strings"

// ResourceType is a kind of resource of a service, as the Service Authorization Reference has it.
type ResourceType struct {
	Service string // prefix
	Name    string // as the actions of the service name it
	// ARNs are patterns of the ARNs of such resources, with "*" for what differs from one to the other: arn:*:s3:::*/*.
	ARNs []string
	// Conditions are keys that a statement about such a resource can use, with actions that support them.
	Conditions []string
}

// LookupResourceType finds a resource type of a service; case does not count.
func LookupResourceType(service, name string) (ResourceType, bool) {
	service = strings.ToLower(service)
	s, ok := tables().services[service]
	if !ok {
		return ResourceType{}, false
	}
	line, ok := find(s.types, name)
	if !ok {
		return ResourceType{}, false
	}
	f := strings.Split(line, "\t")
	return ResourceType{service, f[0], []string{f[1]}, s.named(f[2])}, true
}
