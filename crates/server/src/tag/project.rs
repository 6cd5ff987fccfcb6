//! Projects.

use ashlar_api::tag::{DescribeProjects, DescribeProjectsResponse, Project};
use ashlar_control::{Caller, Control};

use crate::service::{Handled, pack};

/// `AllList`: there are no hidden projects.
pub(super) async fn describe_projects(
    control: &Control,
    caller: &Caller,
    request: DescribeProjects,
) -> Handled<DescribeProjectsResponse> {
    let wanted = ashlar_control::DescribeProjects {
        project: request.project_id,
        name: request.project_name,
        offset: request.offset,
        limit: request.limit,
    };
    let listed = control.describe_projects(caller, wanted).await?;
    let shown = |project: ashlar_control::ProjectView| Project {
        project_id: project.id,
        project_name: project.name,
        creator_uin: caller.account.0,
        project_info: String::new(),
        create_time: pack::date_time(project.created),
    };
    Ok(DescribeProjectsResponse {
        total: listed.total_count,
        projects: listed.items.into_iter().map(shown).collect(),
    })
}
