//! Tag, version 2018-08-13: tags of resources of all products, and the projects of an account.

mod actions;
mod errors;
mod project;
mod resource;

pub(crate) use actions::dispatch;
pub use actions::{TagAction, TagApi};
pub use project::{DescribeProjects, DescribeProjectsResponse, Project};
pub use resource::{
    Category, DescribeResourceTagsByResourceIds, DescribeResourceTagsByResourceIdsResponse, GetResources,
    GetResourcesResponse, ModifyResourceTags, ModifyResourceTagsResponse, ResourceTagMapping, Tag, TagFilter,
    TagInput, TagKeyObject, TagResource,
};
