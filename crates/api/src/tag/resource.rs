//! Tags of resources. A resource is named in six parts: `qcs::cvm:ap-guangzhou:uin/1:volume/disk-xxxxxxxx`.

use crate::cbs::wire_choice;
use crate::decode::choice;
use crate::error_code::ErrorCode::{
    InvalidParameterValue, LimitExceededResourceNumPerRequest, LimitExceededTagNumPerRequest,
};
use crate::model::model;
use crate::schema::Rules;

/// `ResourceIds` of one call. Source: `DescribeResourceTagsByResourceIds`.
const RESOURCE_IDS: Rules = Rules::NONE.count_max(50, InvalidParameterValue);

/// `ResourceList` of one call. Source: `GetResources`, "N: 0 to 9".
const RESOURCE_LIST: Rules = Rules::NONE.count_max(10, LimitExceededResourceNumPerRequest);

/// Filters of one call. Source: `GetResources`.
const TAG_FILTERS: Rules = Rules::NONE.count_max(6, LimitExceededTagNumPerRequest);

/// Values of one filter. Source: `GetResources`.
const FILTER_VALUES: Rules = Rules::NONE.count_max(10, LimitExceededTagNumPerRequest);

/// Tags of one list. Source: `ModifyResourceTags`.
const TAGS: Rules = Rules::NONE.count_max(10, InvalidParameterValue);

/// A page's `Limit`. Default: 15, the callee's.
const LIMIT: Rules = Rules::NONE.range(1, 200);

/// A page's `Offset`.
const OFFSET: Rules = Rules::NONE.range(0, i64::MAX);

/// A page's size. Default: 50, the callee's.
const MAX_RESULTS: Rules = Rules::NONE.range(1, 200);

wire_choice! {
    /// Whose tags are wanted.
    pub enum Category {
        /// Those that users bind.
        Custom = "Custom",
        /// Those that the service binds; there are none here.
        System = "System",
        /// Both; the default.
        All = "All",
    }
}

model! {
    /// Shows the tags of resources of one kind in one region, by resource and key. Unknown resources, and kinds
    /// that there are none of here, have no tags.
    pub struct DescribeResourceTagsByResourceIds("DescribeResourceTagsByResourceIdsRequest"): input {
        /// The third part of the resources' names: `cvm`.
        pub service_type: String = "ServiceType",
        /// The word before the slash: `volume`, `snapshot`, `instance`.
        pub resource_prefix: String = "ResourcePrefix",
        /// The ids, at most 50.
        pub resource_ids: Vec<String> = "ResourceIds" => RESOURCE_IDS,
        /// The region; empty for what lies in none.
        pub resource_region: String = "ResourceRegion",
        /// How many to skip, a multiple of `Limit`. Default: 0.
        pub offset: Option<u64> = "Offset" => OFFSET,
        /// How many to give. Default: 15.
        pub limit: Option<u64> = "Limit" => LIMIT,
        /// Whose tags. Default: all.
        pub category: Option<Category> = "Category",
    }

    /// The answer of [`DescribeResourceTagsByResourceIds`].
    pub struct DescribeResourceTagsByResourceIdsResponse("DescribeResourceTagsByResourceIdsResponse"): output {
        /// How many tags there are, on all pages.
        pub total_count: u64 = "TotalCount",
        /// How many were skipped.
        pub offset: u64 = "Offset",
        /// How many were asked for.
        pub limit: u64 = "Limit",
        /// This page.
        pub tags: Vec<TagResource> = "Tags",
    }

    /// One tag of one resource.
    pub struct TagResource("TagResource"): output {
        /// The key.
        pub tag_key: String = "TagKey",
        /// The value.
        pub tag_value: String = "TagValue",
        /// The resource, as it was asked for.
        pub resource_id: String = "ResourceId",
        /// The MD5 of the key, in hexadecimal.
        pub tag_key_md5: String = "TagKeyMd5",
        /// The MD5 of the value, in hexadecimal.
        pub tag_value_md5: String = "TagValueMd5",
        /// The service that was asked for.
        pub service_type: String = "ServiceType",
        /// `Custom`: users bound it.
        pub category: Category = "Category",
    }

    /// Binds tags to a resource, or other values to tags that it has, and unbinds others: all of it, or nothing.
    /// One of the lists must be given, and no key may be in both.
    pub struct ModifyResourceTags("ModifyResourceTagsRequest"): input {
        /// The resource's name in six parts. Real clients leave the account's number out.
        pub resource: String = "Resource",
        /// Tags to bind or change, at most 10.
        pub replace_tags: Option<Vec<TagInput>> = "ReplaceTags" => TAGS,
        /// Tags to unbind, at most 10. Those that the resource does not have are passed over.
        pub delete_tags: Option<Vec<TagKeyObject>> = "DeleteTags" => TAGS,
    }

    /// The answer of [`ModifyResourceTags`].
    pub struct ModifyResourceTagsResponse("ModifyResourceTagsResponse"): output {
    }

    /// Lists resources with their tags.
    pub struct GetResources("GetResourcesRequest"): input {
        /// Only these resources, at most 10; then all of them come on one page.
        pub resource_list: Option<Vec<String>> = "ResourceList" => RESOURCE_LIST,
        /// Only resources with a tag of each of these.
        pub tag_filters: Option<Vec<TagFilter>> = "TagFilters" => TAG_FILTERS,
        /// Where the page before ended; empty for the first one.
        pub pagination_token: Option<String> = "PaginationToken",
        /// How many to give, 1 to 200. Default: 50.
        pub max_results: Option<u64> = "MaxResults" => MAX_RESULTS,
    }

    /// The answer of [`GetResources`].
    pub struct GetResourcesResponse("GetResourcesResponse"): output {
        /// Where this page ends; empty when it is the last.
        pub pagination_token: String = "PaginationToken",
        /// This page.
        pub resource_tag_mapping_list: Vec<ResourceTagMapping> = "ResourceTagMappingList",
    }

    /// A tag that a resource shall have.
    pub struct TagFilter("TagFilter"): input {
        /// The key.
        pub tag_key: String = "TagKey",
        /// Its value is one of these. Default: any value.
        pub tag_value: Option<Vec<String>> = "TagValue" => FILTER_VALUES,
    }

    /// A resource and its tags.
    pub struct ResourceTagMapping("ResourceTagMapping"): output {
        /// The resource's name in six parts, as it was asked for.
        pub resource: String = "Resource",
        /// Its tags, by key.
        pub tags: Vec<Tag> = "Tags",
    }

    /// A tag.
    pub struct Tag("Tag"): output {
        /// The key.
        pub tag_key: String = "TagKey",
        /// The value.
        pub tag_value: String = "TagValue",
        /// `Custom`: users bound it.
        pub category: Category = "Category",
    }

    /// A tag to be bound.
    pub struct TagInput("Tag"): input {
        /// The key.
        pub tag_key: String = "TagKey",
        /// The value.
        pub tag_value: String = "TagValue",
        /// Whose tag it is; users can bind their own.
        pub category: Option<Category> = "Category",
    }

    /// A tag to be unbound.
    pub struct TagKeyObject("TagKeyObject"): input {
        /// The key.
        pub tag_key: String = "TagKey",
    }
}
