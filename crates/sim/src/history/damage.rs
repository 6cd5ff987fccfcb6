//! Media that lie: writes of the data file that are lost, torn, misplaced or spoiled, bits that flip where nobody looks.
//! What comes of them may be an error of the blocks that were hit, and of no other; nobody may ever get wrong bytes.
//!
//! One limit is known and stated in the design: what was open for changes when the power failed is believed as the medium
//! has it, so after such a cut a block that was hit may show something else. No more blocks than were hit.

use ashlar_engine::Directory;
use ashlar_volume::fault::PROBABILITY_ONE;
use ashlar_volume::{BLOCK_BYTES, ContentName};

use super::*;
use crate::lies::Lies;
use crate::oracle::{Damaged, block_bytes};

impl History {
    pub(super) fn event(&mut self, what: &'static str) {
        *self.events.entry(what).or_default() += 1;
    }

    /// In one of three lives the medium lies now and then about data, in one of four once about metadata.
    pub(super) fn choose_lies(&mut self) {
        let lies = match self.below(12) {
            0..4 => {
                self.was_faulty = true;
                self.event("faulty life");
                let probability = [PROBABILITY_ONE / 20, PROBABILITY_ONE / 100][self.below(2) as usize];
                Lies::new(self.below(u64::MAX), probability)
            }
            4..7 => {
                let lies = Lies::about_metadata(self.below(u64::MAX), |bound| self.below(bound));
                self.line(&format!("a lie is to come: {:?}", lies.metadata));
                lies
            }
            _ => Lies::default(),
        };
        self.ground.disk.share_syncs(self.shares_syncs);
        self.ground.shared.lock().begin_lies(lies);
    }

    /// Lets the medium lie from now on, or not.
    pub(super) fn arm(&self, is_armed: bool) {
        self.ground.shared.lock().lies.set_armed(is_armed);
    }

    fn are_lies_told(&self) -> bool {
        self.ground.shared.lock().lies.are_told()
    }

    /// How many blocks the medium can have damaged in this life.
    fn damaged_max(&self) -> u64 {
        self.ground.shared.lock().lies.damaged_max()
    }

    /// Now and then a bit of the data file flips where it lies.
    pub(super) fn rot(&mut self) -> Result<(), Stop> {
        if self.are_lies_told() && self.below(8) == 0 {
            let file = self.ground.answered("open the data file", self.ground.disk.open(FileRole::Data))?;
            let end = self.ground.answered("measure the data file", file.length_bytes())?;
            let from = self.below(end.max(1));
            let allocated = self.ground.answered("look for data", file.next_allocated(from, end))?;
            // A write that went astray may have ended the file within a block.
            if let Some(range) = allocated.filter(|range| range.start < end) {
                let at = range.start + self.below((range.end.min(end) - range.start).min(64 << 10));
                let mut byte = [0];
                self.ground.answered("read a byte", file.read_at(at, &mut byte))?;
                self.ground.shared.lock().lies.rotten += 1;
                self.event("rotten bit");
                self.line(&format!("a bit of byte {at} flips"));
                let flipped = [byte[0] ^ (1 << self.below(8))];
                self.ground.answered("flip a bit", file.write_at(at, &flipped))?;
            }
        }
        Ok(())
    }

    /// Reads everything, some of it, or all of one disk, while clients go on.
    pub(super) fn scrub(&mut self) -> Result<(), Stop> {
        self.event("scrub");
        let volumes = match self.below(2) {
            0 => Vec::new(),
            _ => self.pick_disk(|_| true).map(VolumeId::from).into_iter().collect(),
        };
        let begun = self.machine()?.pool.scrub(&volumes);
        let mut scrub = self.ground.answered("begin a scrub", begun)?;
        while self.ground.answered("scrub", scrub.step())? {
            if self.below(3) == 0 {
                self.ground.shared.lock().traffic(&self.ground.disk);
            }
            if self.below(8) == 0 {
                let worked = self.machine()?.pool.run_background_step();
                self.ground.answered("background", worked)?;
            }
            if self.ground.disk.is_off() {
                return Err(Stop::PowerCut);
            }
        }
        let progress = scrub.progress();
        drop(scrub);
        self.line(&format!("scrub of {volumes:?}: {progress:?}"));
        self.check_damage(progress.damaged_blocks)
    }

    /// What is told of damage is no more than there can be; nothing where the medium has told the truth.
    fn check_damage(&mut self, damaged_blocks: u64) -> Result<(), Stop> {
        let most = self.damaged_max();
        let told = self.machine()?.pool.damage();
        let told = self.ground.answered("ask for damage", told)?;
        // Blocks that nobody sees any more may have been damaged by an earlier life.
        let is_possible = damaged_blocks <= most || self.was_faulty;
        let is_told = !(told.volumes.is_empty() && told.snapshots.is_empty());
        if is_told && self.ground.shared.lock().lies.told_of_metadata().is_some() {
            return Err(Stop::Broken(format!("damage is told: {told:?}")));
        }
        if !is_possible || (most == 0 && is_told) {
            let failure = format!("{damaged_blocks} damaged blocks, {most} are possible: {told:?}");
            return Err(Stop::Failure(failure));
        }
        Ok(())
    }

    /// The end of a life in which the medium has lied: reading everything, a scrub and what the pool tells must agree.
    pub(super) fn look_at_damage(&mut self) -> Result<(), Stop> {
        if !self.are_lies_told() {
            return Ok(());
        }
        self.arm(false);
        let most = self.damaged_max();
        let pool = Arc::clone(&self.machine()?.pool);
        let tolerance = Tolerance { errors: most, wrong: 0 };
        let damaged = self.damaged_now(tolerance, "after a medium has lied")?;
        let found = self.scrub_all()?;
        let told = self.ground.answered("ask for damage", pool.damage())?;
        let count = |wanted: &ContentName| damaged.iter().filter(|(name, _)| name == wanted).count() as u64;
        let volumes = told.volumes.into_iter().map(|(name, blocks)| (ContentName::Volume(name), blocks));
        let snapshots =
            told.snapshots.into_iter().map(|(name, blocks)| (ContentName::Snapshot(name), blocks));
        let told: BTreeMap<String, u64> =
            volumes.chain(snapshots).map(|(name, blocks)| (format!("{name:?}"), blocks)).collect();
        let read: BTreeMap<String, u64> =
            damaged.iter().map(|(name, _)| (format!("{name:?}"), count(name))).collect();
        self.line(&format!("damaged: {read:?}, {found} blocks of at most {most}"));
        if told != read || (found > most && !self.was_damaged_before()) {
            return Err(Stop::Failure(format!(
                "damage: read {read:?}, told {told:?}; the scrub has found {found} blocks of at most {most}"
            )));
        }
        if found > 0 {
            self.event("damaged block");
        }
        Ok(())
    }

    /// Whether an earlier life of the server may have left damage where nobody sees it.
    fn was_damaged_before(&self) -> bool {
        self.events.get("faulty life").is_some_and(|lives| *lives > 1)
    }

    /// The life is over; what it may have damaged goes with the medium into the next.
    pub(super) fn carry_damage(&mut self) {
        let damaged = self.damaged_max();
        self.ground.shared.lock().begin_lies(Lies::default());
        self.ground.tolerance.errors += damaged;
        self.damaged_ever += damaged;
    }

    /// After a power cut: what was open for changes is believed as the medium has it, and what a last commit lacks that has shared
    /// its sync is as it was before. Nothing else is.
    pub(super) fn believe_open_pages(&mut self, unverified_bytes: u64) {
        let Tolerance { errors, wrong } = self.ground.tolerance;
        let believed = if self.shares_syncs { errors } else { wrong + unverified_bytes / BLOCK_BYTES };
        self.ground.tolerance.wrong = errors.min(believed);
    }

    /// Damaged blocks of disks are written anew, snapshots with damaged blocks are deleted. Then nothing is damaged.
    pub(super) async fn mend(&mut self) -> Result<(), Stop> {
        if self.ground.tolerance == Tolerance::default() {
            return Ok(());
        }
        // Asked now, not at the opening: what jobs have made of damaged blocks since is damaged too.
        let to_mend = self.damaged_now(self.ground.tolerance, "before mending")?;
        let mut spoiled = BTreeSet::new();
        for (name, block) in to_mend {
            match name {
                ContentName::Volume(volume) => self.rewrite(&volume, block)?,
                ContentName::Snapshot(snapshot) => drop(spoiled.insert(snapshot)),
            }
        }
        let snapshots: Vec<_> = self.known.snapshots.keys().copied().collect();
        for snapshot in snapshots.into_iter().filter(|id| spoiled.contains(&(*id).into())) {
            self.under_way = UnderWay::default();
            self.delete_this(snapshot).await?;
        }
        self.under_way = UnderWay::default();
        let pool = Arc::clone(&self.machine()?.pool);
        while self.ground.answered("background", pool.run_background_step())? {}
        self.damaged_now(Tolerance::default(), "after mending")?;
        // A mark stays where a block could be read again before anybody wrote it; a scrub takes it off.
        self.scrub_all()?;
        self.ground.tolerance = Tolerance::default();
        self.check_damage(0)
    }

    /// Compares everything with the pool as it is now. Gives what is damaged, as far as that may be.
    fn damaged_now(&self, tolerance: Tolerance, when: &str) -> Result<Vec<Damaged>, Stop> {
        let pool = Arc::clone(&self.machine()?.pool);
        let damaged = self.ground.shared.lock().world.verify(&*pool, tolerance);
        if self.ground.disk.is_off() {
            return Err(Stop::PowerCut);
        }
        damaged.map_err(|failure| Stop::Failure(format!("{when}: {failure}")))
    }

    /// Reads everything; how many blocks are damaged.
    fn scrub_all(&self) -> Result<u64, Stop> {
        let begun = self.machine()?.pool.scrub(&[]);
        let mut scrub = self.ground.answered("begin a scrub", begun)?;
        while self.ground.answered("scrub", scrub.step())? {}
        Ok(scrub.progress().damaged_blocks)
    }

    fn rewrite(&mut self, volume: &VolumeId, block: u64) -> Result<(), Stop> {
        let tag = {
            let mut shared = self.ground.shared.lock();
            let tag = shared.new_tag();
            let Some(content) = shared.world.volumes.get_mut(volume) else { return Ok(()) };
            content.write(block, tag);
            tag
        };
        self.line(&format!("{volume}: block {block} is mended with {tag}"));
        let opened = self.machine()?.pool.open_volume(volume);
        let device = self.ground.answered("open a volume", opened)?;
        self.ground.answered("mend", device.write(block * BLOCK_BYTES, &block_bytes(tag)))?;
        self.ground.answered("flush", device.flush())?;
        if let Some(content) = self.ground.shared.lock().world.volumes.get_mut(volume) {
            content.flush();
        }
        Ok(())
    }
}
