//! Domain rules: disks, snapshots, instances, quotas, jobs
