//! Tag: tags of resources, and projects.

mod project;
mod resource;

use ashlar_api::tag::{self, TagAction, TagApi};

use crate::service::handlers;

handlers! {
    TagApi, TagAction of tag {
        project::describe_projects(DescribeProjects) -> DescribeProjectsResponse;
        resource::describe_resource_tags_by_resource_ids(DescribeResourceTagsByResourceIds)
            -> DescribeResourceTagsByResourceIdsResponse;
        resource::get_resources(GetResources) -> GetResourcesResponse;
        resource::modify_resource_tags(ModifyResourceTags) -> ModifyResourceTagsResponse;
    }
}
