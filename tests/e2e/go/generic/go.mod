module ashlar.test/generic

go 1.19

require (
	ashlar.test/lines v0.0.0
	github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common v1.3.211
)

replace ashlar.test/lines => ../lines
