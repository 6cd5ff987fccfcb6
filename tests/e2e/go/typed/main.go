// Calls with the typed clients of the official Go SDK: its own request and response structures, found by name.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"

	"ashlar.test/lines"
	cbs "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/cbs/v20170312"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"
	tchttp "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/http"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/profile"
	cvm "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/cvm/v20170312"
	cwp "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/cwp/v20180228"
	lighthouse "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/lighthouse/v20200324"
	sts "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/sts/v20180813"
	tag "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/tag/v20180813"
)

// errNoSuchProduct tells that the SDK has no such client.
var errNoSuchProduct = errors.New("the SDK has no client of this product")

func newClient(call lines.Call, key *common.Credential, settings *profile.ClientProfile) (interface{}, error) {
	switch call.Product {
	case "cbs":
		return cbs.NewClient(key, call.Region, settings)
	case "cvm":
		return cvm.NewClient(key, call.Region, settings)
	case "cwp":
		return cwp.NewClient(key, call.Region, settings)
	case "lighthouse":
		return lighthouse.NewClient(key, call.Region, settings)
	case "sts":
		return sts.NewClient(key, call.Region, settings)
	case "tag":
		return tag.NewClient(key, call.Region, settings)
	}
	return nil, errNoSuchProduct
}

// newRequest is what the SDK's `NewXRequest` does for a type that is known only by its name.
func newRequest(kind reflect.Type, call lines.Call) interface{} {
	request := reflect.New(kind)
	base := &tchttp.BaseRequest{}
	request.Elem().FieldByName("BaseRequest").Set(reflect.ValueOf(base))
	base.Init().WithApiInfo(call.Product, call.Version, call.Action)
	return request.Interface()
}

func answer(call lines.Call) lines.Outcome {
	settings := profile.NewClientProfile()
	settings.Language = "en-US"
	settings.SignMethod = call.SignMethod
	settings.HttpProfile.Endpoint = call.Endpoint
	settings.HttpProfile.Scheme = call.Scheme
	settings.HttpProfile.ReqMethod = call.HttpMethod
	client, err := newClient(call, common.NewTokenCredential(call.SecretId, call.SecretKey, call.Token), settings)
	if err != nil {
		return lines.Unsupported(err.Error())
	}
	method := reflect.ValueOf(client).MethodByName(call.Action)
	if !method.IsValid() {
		return lines.Unsupported("the SDK has no such method")
	}
	request := newRequest(method.Type().In(0).Elem(), call)
	reader := request.(interface{ FromJsonString(string) error })
	// Structures of this version do not have what the service learned later.
	if err := reader.FromJsonString(string(call.Parameters)); err != nil {
		return lines.Unsupported(err.Error())
	}
	returned := method.Call([]reflect.Value{reflect.ValueOf(request)})
	if err, failed := returned[1].Interface().(error); failed {
		return lines.Refused(err)
	}
	body, err := json.Marshal(plain(returned[0]))
	if err != nil {
		return lines.Refused(err)
	}
	return lines.Answered(body)
}

// plain is what the SDK read, with every field under its name. The SDK's own JSON leaves out empty lists and nil.
func plain(value reflect.Value) interface{} {
	switch value.Kind() {
	case reflect.Ptr, reflect.Interface:
		if value.IsNil() {
			return nil
		}
		return plain(value.Elem())
	case reflect.Slice:
		if value.IsNil() {
			return nil
		}
		list := make([]interface{}, value.Len())
		for index := range list {
			list[index] = plain(value.Index(index))
		}
		return list
	case reflect.Struct:
		fields := map[string]interface{}{}
		for index := 0; index < value.NumField(); index++ {
			if field := value.Type().Field(index); !field.Anonymous {
				fields[field.Name] = plain(value.Field(index))
			}
		}
		return fields
	}
	return value.Interface()
}

func main() {
	if err := lines.Serve(answer); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
