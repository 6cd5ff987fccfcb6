//! Every job failed, halted and repeated at every step.
