//! Filters of the Describe actions.

use crate::model::model;

model! {
    /// One condition: the named property has one of the values. Conditions are joined by AND. Which names
    /// there are depends on the action. Reference: `cbs/data-types`, `Filter`.
    pub struct Filter("Filter"): input {
        /// The property.
        pub name: String = "Name",
        /// The values; at least one.
        pub values: Vec<String> = "Values",
    }
}
