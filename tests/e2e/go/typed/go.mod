module ashlar.test/typed

go 1.19

require (
	ashlar.test/lines v0.0.0
	github.com/tencentcloud/tencentcloud-sdk-go v1.0.162
)

replace ashlar.test/lines => ../lines
