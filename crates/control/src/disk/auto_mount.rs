//! `AutoMountConfiguration`: where new disks shall be attached, formatted and mounted. It is checked and kept;
//! nothing here reaches into a machine yet, and the disk's administrative view says so.

use ashlar_types::{DiskId, InstanceId, UnixMillis};

use crate::error::ParameterError;
use crate::filter::invalid;

/// Where new disks shall be mounted. Reference: `cbs/data-types`, `AutoMountConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoMountConfiguration {
    /// One instance for all disks, or one for each.
    pub instances: Vec<InstanceId>,
    /// Where to mount them, one for each disk, none for no mounting.
    pub mount_points: Vec<String>,
    /// `ext4` or `xfs`; needed to mount.
    pub file_system_type: Option<String>,
}

impl AutoMountConfiguration {
    /// Refuses what could not be carried out.
    pub(super) fn check(&self, disk_count: u64) -> Result<(), ParameterError> {
        const INSTANCES: &str = "AutoMountConfiguration.InstanceId";
        const POINTS: &str = "AutoMountConfiguration.MountPoint";
        let given = self.instances.len() as u64;
        if given != 1 && given != disk_count {
            let expected = format!("one instance, or one for each of the {disk_count} disks");
            return Err(invalid(INSTANCES, given, expected));
        }
        let points = self.mount_points.len() as u64;
        if points != 0 && points != disk_count {
            return Err(invalid(POINTS, points, format!("one for each of the {disk_count} disks")));
        }
        if points > 0 && self.file_system_type.is_none() {
            let why = "MountPoint needs it";
            return Err(ParameterError::Missing { parameter: "AutoMountConfiguration.FileSystemType", why });
        }
        for (at, point) in self.mount_points.iter().enumerate() {
            if !is_mount_point(point) {
                let expected = "an absolute path such as /data, of at most 255 bytes, without `.` and `..`";
                return Err(invalid(POINTS, point.escape_default(), expected));
            }
            let instance = |at: usize| self.instances.get(at).or(self.instances.first());
            let twice = (0..at)
                .any(|other| self.mount_points.get(other) == Some(point) && instance(other) == instance(at));
            if twice {
                return Err(invalid(POINTS, point, "each path once in an instance"));
            }
        }
        Ok(())
    }

    /// What is kept of it for each disk; the id is the caller's to set.
    pub(super) fn of_each(&self, disk_count: u64, now: UnixMillis) -> Vec<AutoMountOfDisk> {
        let count = usize::try_from(disk_count).unwrap_or(0);
        let instance = |at: usize| self.instances.get(at).or(self.instances.first()).copied();
        (0..count)
            .filter_map(|at| {
                Some(AutoMountOfDisk {
                    instance: instance(at)?,
                    mount_point: self.mount_points.get(at).cloned(),
                    file_system_type: self.file_system_type.clone(),
                    created: now,
                })
            })
            .collect()
    }
}

/// What is kept of a configuration for one disk.
pub(super) struct AutoMountOfDisk {
    instance: InstanceId,
    mount_point: Option<String>,
    file_system_type: Option<String>,
    created: UnixMillis,
}

impl AutoMountOfDisk {
    /// As a record of the disk.
    pub(super) fn record(&self, disk: DiskId) -> ashlar_db::AutoMount {
        ashlar_db::AutoMount {
            disk,
            instance: self.instance,
            mount_point: self.mount_point.clone(),
            file_system_type: self.file_system_type.clone(),
            created: self.created,
        }
    }
}

fn is_mount_point(path: &str) -> bool {
    let Some(relative) = path.strip_prefix('/') else { return false };
    let part =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.chars().any(char::is_control);
    path.len() <= 255 && relative.trim_end_matches('/').split('/').all(part)
}
