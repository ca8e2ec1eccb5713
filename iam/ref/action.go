package ref

import (
	"slices"
	"strings"

	"drawbridge/iam/arn"
)

// ActionsFrom is the source of the actions, the resource types and the keys of services.
func ActionsFrom() Dated { return tables().from }

// AccessLevel is what AWS says that an action does.
type AccessLevel uint8

// The access levels of the Service Authorization Reference. Tagging and the management of permissions are levels of their
// own here, although AWS counts them as writing too. The zero value is the level of no action.
const (
	NoAccessLevel AccessLevel = iota
	List
	Read
	Write
	PermissionsManagement
	Tagging
)

var accessLevels = [...]string{"", "List", "Read", "Write", "Permissions management", "Tagging"}

// String is the level as AWS writes it, "" for NoAccessLevel.
func (l AccessLevel) String() string {
	if int(l) < len(accessLevels) {
		return accessLevels[l]
	}
	return ""
}

// Action is a row of the Service Authorization Reference.
type Action struct {
	Name   string      // as AWS writes it: s3:GetObject
	Access AccessLevel // what it does
	// Resources are the types that the action can be limited to; where there are none, a statement must name "*".
	Resources []ActionResource
	// Conditions are the keys that the action sends whatever its resource. ActionKeys has those of its resources as well.
	Conditions []string
	// Dependent are actions that the caller must be allowed besides, each by its full name.
	Dependent []string
}

// ActionResource is a resource type of an action.
type ActionResource struct {
	Type string // name of the type, to be looked up with the service of the action
	// Required is AWS's asterisk: every request of the action has a resource of this type. A request of an action whose
	// types are all optional has a resource of one of them (s3:GetObject: an object or an object of an access point), or none.
	Required   bool
	Conditions []string // keys sent about a resource of this type
}

// LookupAction finds an action by its full name; case does not count. An action that is not found may exist all the same:
// the table has the actions that AWS documents, as of its day.
func LookupAction(name string) (Action, bool) {
	s, ok := serviceOf(name)
	if !ok {
		return Action{}, false
	}
	line, ok := find(s.actions, name)
	if !ok {
		return Action{}, false
	}
	return s.action(line), true
}

// Services are the service prefixes of the known actions, sorted.
func Services() []string { return slices.Clone(tables().names) }

// ServiceActions are the known actions of a service, by their names without regard to case; none for an unknown prefix.
func ServiceActions(prefix string) []Action {
	s, ok := tables().services[strings.ToLower(prefix)]
	if !ok {
		return nil
	}
	actions := make([]Action, len(s.actions))
	for i, line := range s.actions {
		actions[i] = s.action(line)
	}
	return actions
}

// Expand gives the names of the known actions that a pattern of a policy covers, sorted: "s3:Get*", "*", "*:Describe*".
// Case does not count (rule 80), "*" and "?" are wildcards anywhere (rule 81).
func Expand(pattern string) []string {
	g := arn.CompileGlob(strings.ToLower(pattern))
	prefix, _, whole := strings.Cut(g.Prefix(), ":")
	var names []string
	t := tables()
	for _, name := range t.names {
		if whole && name != prefix || !strings.HasPrefix(name, prefix) {
			continue
		}
		for _, line := range t.services[name].actions {
			if action, _, _ := strings.Cut(line, "\t"); g.Match(strings.ToLower(action)) {
				names = append(names, action)
			}
		}
	}
	slices.Sort(names)
	return names
}

// ActionKeys are all keys that AWS documents for an action, sorted: its own, those of its resources, and those of the
// resource types it takes. The other keys of any request (Key.Global) are not among them. nil for an unknown action.
func ActionKeys(action string) []string {
	a, ok := LookupAction(action)
	if !ok {
		return nil
	}
	keys := slices.Clone(a.Conditions)
	prefix, _, _ := strings.Cut(a.Name, ":")
	for _, r := range a.Resources {
		keys = append(keys, r.Conditions...)
		if t, ok := LookupResourceType(prefix, r.Type); ok {
			keys = append(keys, t.Conditions...)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// serviceOf finds the service of an action.
func serviceOf(action string) (*service, bool) {
	prefix, _, ok := strings.Cut(action, ":")
	if !ok {
		return nil, false
	}
	s, ok := tables().services[strings.ToLower(prefix)]
	return s, ok
}

// action reads a line of the table.
func (s *service) action(line string) Action {
	f := strings.Split(line, "\t")
	a := Action{Name: f[0], Conditions: s.named(f[3]), Dependent: split(f[4], ",")}
	switch f[1] {
	case "L":
		a.Access = List
	case "R":
		a.Access = Read
	case "W":
		a.Access = Write
	case "P":
		a.Access = PermissionsManagement
	case "T":
		a.Access = Tagging
	}
	for _, resource := range split(f[2], ";") {
		name, keys, _ := strings.Cut(resource, ":")
		name, required := strings.CutSuffix(name, "!")
		a.Resources = append(a.Resources, ActionResource{name, required, s.named(keys)})
	}
	return a
}
