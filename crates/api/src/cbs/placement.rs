//! Where a resource lies. The vendor has one `Placement` for both directions; here they are two types,
//! because a request may leave out what an answer always has.

use ashlar_types::{ProjectId, Zone};

use crate::model::model;

model! {
    /// Where a disk shall lie. Reference: `cbs/data-types`, `Placement`.
    pub struct Placement("Placement"): input {
        /// The zone.
        pub zone: Zone = "Zone",
        /// A cage of a financial zone.
        pub cage_id: Option<String> = "CageId",
        /// The project. Default: 0, the default project.
        pub project_id: Option<ProjectId> = "ProjectId",
        /// The project's name; the documents list it, the project is chosen by its id.
        pub project_name: Option<String> = "ProjectName",
        /// The dedicated cluster's name; documented as ignored in a request.
        pub cdc_name: Option<String> = "CdcName",
        /// The dedicated cluster (CDC).
        pub cdc_id: Option<String> = "CdcId",
        /// The dedicated cluster's other id.
        pub dedicated_cluster_id: Option<String> = "DedicatedClusterId",
    }

    /// Where a disk or snapshot lies. Recorded answers have `""` for cage and CDC, and null for a dedicated
    /// cluster, where there is none.
    pub struct PlacementOutput("Placement"): output {
        /// The zone.
        pub zone: Zone = "Zone",
        /// The cage, or empty.
        pub cage_id: String = "CageId",
        /// The project.
        pub project_id: ProjectId = "ProjectId",
        /// The project's name.
        pub project_name: String = "ProjectName",
        /// The dedicated cluster's name, or empty.
        pub cdc_name: String = "CdcName",
        /// The dedicated cluster, or empty.
        pub cdc_id: String = "CdcId",
        /// The dedicated cluster's other id.
        pub dedicated_cluster_id: Option<String> = "DedicatedClusterId",
    }
}
