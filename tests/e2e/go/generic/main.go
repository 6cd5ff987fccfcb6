// Calls with the generic client of the official Go SDK. Answers are read into structures that are made from the
// vendor's newest description of its API, so a number that came as a string fails here as it does in a typed client.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"ashlar.test/lines"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"
	tchttp "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/http"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/profile"
)

// response is what the SDK reads an answer into.
type response struct {
	*tchttp.BaseResponse
	Response interface{} `json:"Response"`
}

func answer(described *descriptions, call lines.Call) lines.Outcome {
	shape, err := described.answerOf(call.Product, call.Version, call.Action)
	if err != nil {
		return lines.Unsupported(err.Error())
	}
	settings := profile.NewClientProfile()
	settings.Language = "en-US"
	settings.SignMethod = call.SignMethod
	settings.HttpProfile.Endpoint = call.Endpoint
	settings.HttpProfile.Scheme = call.Scheme
	settings.HttpProfile.ReqMethod = call.HttpMethod
	key := common.NewTokenCredential(call.SecretId, call.SecretKey, call.Token)
	client := common.NewCommonClient(key, call.Region, settings)

	request := tchttp.NewCommonRequest(call.Product, call.Version, call.Action)
	if err := request.SetActionParameters([]byte(call.Parameters)); err != nil {
		return lines.Refused(err)
	}
	read := &response{BaseResponse: &tchttp.BaseResponse{}, Response: shape}
	if err := client.Send(request, read); err != nil {
		return lines.Refused(err)
	}
	body, err := json.Marshal(read)
	if err != nil {
		return lines.Refused(err)
	}
	return lines.Answered(body)
}

// The one argument is the folder with the descriptions: PRODUCT/vVERSION/api.json.
func main() {
	described := &descriptions{folder: os.Args[1], products: map[string]*description{}}
	err := lines.Serve(func(call lines.Call) lines.Outcome { return answer(described, call) })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
