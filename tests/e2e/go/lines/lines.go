// Package lines reads calls from standard input, one JSON object a line, and writes what came of each.
package lines

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
)

// longestLineBytes bounds one call.
const longestLineBytes = 1 << 24

// Call is one call and who makes it.
type Call struct {
	Scheme, Endpoint, Product, Version, Action, Region string
	SecretId, SecretKey, Token                         string
	SignMethod, HttpMethod                             string
	Parameters                                         json.RawMessage
}

// Outcome is an answer, a refusal, or why this client cannot make the call.
type Outcome struct {
	Answer      json.RawMessage `json:"answer,omitempty"`
	Error       *Refusal        `json:"error,omitempty"`
	Unsupported string          `json:"unsupported,omitempty"`
}

// Refusal is an error as the SDK tells it.
type Refusal struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestId string `json:"requestId"`
}

// sdkError is what the error types of all versions of the SDK have.
type sdkError interface {
	GetCode() string
	GetMessage() string
	GetRequestId() string
}

// Unsupported is the outcome of a call that the client does not know.
func Unsupported(why string) Outcome {
	return Outcome{Unsupported: why}
}

// Refused is the outcome of a call that ended with `err`.
func Refused(err error) Outcome {
	var told sdkError
	if errors.As(err, &told) {
		return Outcome{Error: &Refusal{told.GetCode(), told.GetMessage(), told.GetRequestId()}}
	}
	return Outcome{Error: &Refusal{Code: "ClientError", Message: err.Error()}}
}

// Answered is the outcome of a call whose whole body, read by the SDK and written again, is `body`.
func Answered(body []byte) Outcome {
	var whole struct{ Response json.RawMessage }
	if err := json.Unmarshal(body, &whole); err != nil {
		return Refused(err)
	}
	return Outcome{Answer: whole.Response}
}

// Serve answers calls until the input ends.
func Serve(answer func(Call) Outcome) error {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, longestLineBytes)
	output := json.NewEncoder(os.Stdout)
	for input.Scan() {
		var call Call
		if err := json.Unmarshal(input.Bytes(), &call); err != nil {
			return err
		}
		if err := output.Encode(answer(call)); err != nil {
			return err
		}
	}
	return input.Err()
}
