//! Disks that show damaged blocks: the pools know which, and their owners are told in `ErrorPrompt`.

use std::collections::BTreeMap;

use ashlar_db::Disk;
use ashlar_types::DiskId;

use crate::control::Control;
use crate::error::ControlError;
use crate::reconcile::Reconciled;

impl Control {
    /// Asks the open pools what is damaged. Nothing of it is on record: a pool keeps its marks itself, and takes them off
    /// when a block is written again or found sound.
    pub(crate) async fn note_damage(&self) -> Result<Reconciled, ControlError> {
        let this = self.clone();
        let damage = self
            .blocking(move || {
                let mut damage: BTreeMap<DiskId, u64> = BTreeMap::new();
                for (_, store) in this.stores.open_stores() {
                    for (volume, blocks) in store.damage()?.volumes {
                        if let Ok(disk) = volume.as_str().parse() {
                            damage.insert(disk, blocks);
                        }
                    }
                }
                Ok(damage)
            })
            .await?;
        let mut shown = self.damage.lock();
        let told = damage.iter().filter(|(disk, blocks)| shown.get(disk) != Some(blocks)).count();
        let cleared = shown.keys().filter(|disk| !damage.contains_key(disk)).count();
        *shown = damage;
        Ok(Reconciled { items: (told + cleared) as u64, failures: 0 })
    }

    /// What the owner of a disk can read about its trouble.
    pub(crate) fn error_prompt(&self, disk: &Disk) -> String {
        let told = self.damage.lock().get(&disk.id).map(|blocks| prompt(*blocks));
        match told {
            Some(damaged) if disk.error_prompt.is_empty() => damaged,
            Some(damaged) => format!("{}; {damaged}", disk.error_prompt),
            None => disk.error_prompt.clone(),
        }
    }
}

fn prompt(blocks: u64) -> String {
    let subject =
        if blocks == 1 { "1 block of 4 KiB is".to_owned() } else { format!("{blocks} blocks of 4 KiB are") };
    format!(
        "{subject} damaged: reading there gives an I/O error until it is written again or the disk is rolled back to a \
         sound snapshot"
    )
}
