//! The table of the actions of Tag.

use crate::action::product;

product! {
    "Tag", Tag "tag" "2018-08-13": TagAction, TagApi {
        DescribeProjects describe_projects -> DescribeProjectsResponse, 20 per second,
            reads [];
        DescribeResourceTagsByResourceIds describe_resource_tags_by_resource_ids
            -> DescribeResourceTagsByResourceIdsResponse, 20 per second,
            reads [];
        GetResources get_resources -> GetResourcesResponse, 20 per second,
            reads [Any("ResourceList")];
        ModifyResourceTags modify_resource_tags -> ModifyResourceTagsResponse, 20 per second,
            writes [Any("Resource")];
    }
}
