package cli

import (
	"errors"
	"fmt"
)

// The exit statuses, as documented in docs/reference/exit-codes.md.
const (
	codeFindings = 1 // the answer is there, and it is not the wished one
	codeUsage    = 2 // called wrongly, or the input cannot be read
	codeOutput   = 3 // the result could not be written
	codeStopped  = 4 // stopped before the end; the next run goes on from there
	codeUnknown  = 5 // nothing is wrong as far as it could be judged, and something could not be
)

// errUnwanted ends a command whose answer is complete and printed and not what was demanded: findings at or above
// --fail-on, a failed test. The output says it all, so nothing more is printed.
var errUnwanted = errors.New("the result is not the wished one")

// errUnknown ends a command that was asked for a yes or a no, where what decides is not known. The output says what, so nothing more is printed.
var errUnknown = errors.New("something could not be judged")

// errOutput ends a command whose result could not be written. What is in the file then is not the whole result.
var errOutput = errors.New("the result could not be written")

// errUsage is an error of the call: a flag, an argument, a combination. The message is followed by how to get help.
var errUsage = errors.New("wrong usage")

type usageError struct{ err error }

func (e usageError) Error() string   { return e.err.Error() }
func (e usageError) Unwrap() []error { return []error{errUsage, e.err} }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func isUsage(err error) bool { return errors.Is(err, errUsage) }

// Unwanted, Unwritten and Stopped give the errors of another program of the project their exit statuses: the result is there and not the wished one (nothing more is printed), it could not be written, or the command was
// stopped and goes on from there when it is called again.
func Unwanted() error           { return errUnwanted }
func Unwritten(err error) error { return fmt.Errorf("%w: %w", errOutput, err) }
func Stopped(err error) error   { return stoppedError{err} }

type stoppedError struct{ err error }

func (e stoppedError) Error() string { return e.err.Error() }
func (e stoppedError) Unwrap() error { return e.err }

// childStatus ends a command that another program ran for it, with the status of that one, which has said why.
type childStatus int

func (s childStatus) Error() string { return fmt.Sprintf("ended with status %d", int(s)) }

// exitStatus is how the program ends.
type exitStatus struct {
	code   int
	silent bool
}

// statusOf maps an error to its exit status. Whatever has no other name is an input that could not be used.
func statusOf(err error) exitStatus {
	var child childStatus
	switch {
	case errors.As(err, &child):
		return exitStatus{code: int(child), silent: true}
	case errors.Is(err, errUnwanted):
		return exitStatus{code: codeFindings, silent: true}
	case errors.Is(err, errUnknown):
		return exitStatus{code: codeUnknown, silent: true}
	case errors.Is(err, errOutput):
		return exitStatus{code: codeOutput}
	case errors.As(err, new(stoppedError)):
		return exitStatus{code: codeStopped}
	}
	return exitStatus{code: codeUsage}
}
