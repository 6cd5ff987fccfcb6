//! Tags of resources.

use ashlar_api::tag::{
    Category, DescribeResourceTagsByResourceIds, DescribeResourceTagsByResourceIdsResponse, GetResources,
    GetResourcesResponse, ModifyResourceTags, ModifyResourceTagsResponse, ResourceTagMapping, Tag, TagFilter,
    TagInput, TagKeyObject, TagResource,
};
use ashlar_control::{Caller, Control, ControlError, TagCondition};
use md5::{Digest as _, Md5};

use crate::service::{Handled, pack};

pub(super) async fn describe_resource_tags_by_resource_ids(
    control: &Control,
    caller: &Caller,
    request: DescribeResourceTagsByResourceIds,
) -> Handled<DescribeResourceTagsByResourceIdsResponse> {
    let service_type = request.service_type.clone();
    let wanted = ashlar_control::DescribeResourceTags {
        service: request.service_type,
        prefix: request.resource_prefix,
        ids: request.resource_ids,
        region: request.resource_region,
        offset: request.offset,
        limit: request.limit,
        custom: request.category.unwrap_or(Category::All) != Category::System,
    };
    let ashlar_control::ResourceTags { tags, page: (offset, limit) } =
        control.describe_resource_tags(caller, wanted).await?;
    let shown = |(resource, tag): (ashlar_control::Tagged, ashlar_control::Tag)| TagResource {
        tag_key_md5: md5_hex(&tag.key),
        tag_value_md5: md5_hex(&tag.value),
        tag_key: tag.key,
        tag_value: tag.value,
        resource_id: ashlar_control::resource_id(&service_type, resource),
        service_type: service_type.clone(),
        category: Category::Custom,
    };
    Ok(DescribeResourceTagsByResourceIdsResponse {
        total_count: tags.total_count,
        offset,
        limit,
        tags: tags.items.into_iter().map(shown).collect(),
    })
}

pub(super) async fn modify_resource_tags(
    control: &Control,
    caller: &Caller,
    request: ModifyResourceTags,
) -> Handled<ModifyResourceTagsResponse> {
    let replace = request.replace_tags.into_iter().flatten().map(own_tag).collect::<Result<_, _>>()?;
    let unbind = request.delete_tags.into_iter().flatten().map(|TagKeyObject { tag_key }| tag_key);
    let wanted =
        ashlar_control::ModifyResourceTags { resource: request.resource, replace, unbind: unbind.collect() };
    control.modify_resource_tags(caller, wanted).await?;
    Ok(ModifyResourceTagsResponse {})
}

/// Users bind tags of their own alone.
fn own_tag(tag: TagInput) -> Result<ashlar_control::Tag, ControlError> {
    if tag.category == Some(Category::System) {
        let why = "users bind Custom tags; leave it out";
        return Err(pack::not_offered("ReplaceTags.Category", "System", why));
    }
    Ok(ashlar_control::Tag { key: tag.tag_key, value: tag.tag_value })
}

pub(super) async fn get_resources(
    control: &Control,
    caller: &Caller,
    request: GetResources,
) -> Handled<GetResourcesResponse> {
    let condition = |TagFilter { tag_key, tag_value }| TagCondition {
        key: tag_key,
        values: tag_value.unwrap_or_default(),
    };
    let wanted = ashlar_control::GetResources {
        resources: request.resource_list.unwrap_or_default(),
        conditions: request.tag_filters.into_iter().flatten().map(condition).collect(),
        token: request.pagination_token.unwrap_or_default(),
        limit: request.max_results,
    };
    let found = control.tagged_resources(caller, wanted).await?;
    let tag =
        |tag: ashlar_control::Tag| Tag { tag_key: tag.key, tag_value: tag.value, category: Category::Custom };
    let mapping = |(resource, tags): (String, Vec<ashlar_control::Tag>)| ResourceTagMapping {
        resource,
        tags: tags.into_iter().map(tag).collect(),
    };
    Ok(GetResourcesResponse {
        pagination_token: found.token,
        resource_tag_mapping_list: found.resources.into_iter().map(mapping).collect(),
    })
}

fn md5_hex(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
