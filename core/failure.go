package core

// Code is a stable word for why something was refused. Clients may act on it;
// the message beside it is for people (contract P5).
type Code string

// The codes of refusals.
const (
	// MissingField: a field that is required is absent, null or empty.
	MissingField Code = "missing_field"
	// WrongType: the value is not of the field's type.
	WrongType Code = "wrong_type"
	// TooLong: a string has more code points than the field's length.
	TooLong Code = "too_long"
	// OutOfRange: a number lies outside the field's range or its type's.
	OutOfRange Code = "out_of_range"
	// NotAChoice: the value is none of the field's choices.
	NotAChoice Code = "not_a_choice"
	// UnknownField: reject_unknown_fields is on and the family has no such field.
	UnknownField Code = "unknown_field"
	// ReadOnly: reject_unknown_fields is on and the field cannot be written.
	ReadOnly Code = "read_only"
	// Conflicting: two values of one request contradict each other.
	Conflicting Code = "conflicting"
	// NotFound: what the request names does not exist.
	NotFound Code = "not_found"
	// NotUnique: the id names more than one record; an account_id is needed.
	NotUnique Code = "not_unique"
	// TooLarge: the record as a whole is larger than can be stored.
	TooLarge Code = "too_large"
	// Malformed: the request's body or query cannot be read at all.
	Malformed Code = "malformed"
)

// Failure says why a record or a request was refused. It is the caller's to
// mend; trouble of the store or the program is an ordinary error instead.
type Failure struct {
	// Code is a stable word, for programs.
	Code Code
	// Field names the field to blame, nested ones with a dot; may be empty.
	Field string
	// Message is a sentence for people that names the field.
	Message string
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }
