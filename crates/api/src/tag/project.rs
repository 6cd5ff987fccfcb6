//! Projects.

use ashlar_types::ProjectId;

use crate::model::model;
use crate::schema::Rules;
use crate::time::DateTime;

/// A page's `Limit`. The documents have 1000 as its one value.
const LIMIT: Rules = Rules::NONE.range(1, 1000);

/// A page's `Offset`.
const OFFSET: Rules = Rules::NONE.range(0, i64::MAX);

/// Whether hidden projects are wanted too.
const ALL_LIST: Rules = Rules::NONE.range(0, 1);

model! {
    /// Lists the account's projects, by number.
    pub struct DescribeProjects("DescribeProjectsRequest"): input {
        /// 1 for all of them, 0 for those that are not hidden; none is hidden here.
        pub all_list: u64 = "AllList" => ALL_LIST,
        /// How many to give, 1 to 1000.
        pub limit: u64 = "Limit" => LIMIT,
        /// How many to skip.
        pub offset: u64 = "Offset" => OFFSET,
        /// Only this project.
        pub project_id: Option<ProjectId> = "ProjectId",
        /// Only projects of this name, the whole of it.
        pub project_name: Option<String> = "ProjectName",
    }

    /// The answer of [`DescribeProjects`].
    pub struct DescribeProjectsResponse("DescribeProjectsResponse"): output {
        /// How many projects meet the conditions, on all pages.
        pub total: u64 = "Total",
        /// This page.
        pub projects: Vec<Project> = "Projects",
    }

    /// A project.
    pub struct Project("Project"): output {
        /// Its number.
        pub project_id: ProjectId = "ProjectId",
        /// Its name.
        pub project_name: String = "ProjectName",
        /// The account that made it.
        pub creator_uin: u64 = "CreatorUin",
        /// What it is for.
        pub project_info: String = "ProjectInfo",
        /// When it was made.
        pub create_time: DateTime = "CreateTime",
    }
}
