package eval

import (
	"fmt"
	"strings"
)

// Action is an API action, service:Name, prepared for matching without case (rule 80).
type Action struct {
	name  string
	lower string
}

// ActionOf prepares an action. The error says what is wrong with text that is none; a wildcard is no action.
func ActionOf(name string) (Action, error) {
	service, action, found := strings.Cut(name, ":")
	if !found || service == "" || action == "" || strings.ContainsAny(name, "*? ") {
		return Action{}, fmt.Errorf("%q is not an action: expected service:Action", name)
	}
	return Action{name: name, lower: strings.ToLower(name)}, nil
}

// MustAction is ActionOf for actions written in the program.
func MustAction(name string) Action {
	a, err := ActionOf(name)
	if err != nil {
		panic(err)
	}
	return a
}

// String is the action as written.
func (a Action) String() string { return a.name }

// Lower is the action in lower case, the form in which compiled policies match it.
func (a Action) Lower() string { return a.lower }

// Service is the service prefix in lower case.
func (a Action) Service() string {
	service, _, _ := strings.Cut(a.lower, ":")
	return service
}
