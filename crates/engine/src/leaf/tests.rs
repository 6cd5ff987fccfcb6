//! The resolved leaf against a model that knows one block at a time.

use ashlar_types::{RandomSource, SeededRandom};

use super::*;

const SLOTS: u16 = 2;
const BLOCKS: u64 = SLOTS as u64 * BLOCKS_PER_CHUNK;

/// What one layer says of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Nothing,
    Zeroes,
    Data(ChunkNumber),
}

/// Layers of blocks, the top one first.
struct Model(Vec<Vec<Says>>);

impl Model {
    fn random(random: &SeededRandom, next_chunk: &mut u64) -> Self {
        let layers = 1 + random.below(5);
        Self((0..layers).map(|_| random_layer(random, next_chunk)).collect())
    }

    fn place(&self, block: u64) -> Place {
        Self::place_in_layers(&self.0, block)
    }

    fn place_in_layers(layers: &[Vec<Says>], block: u64) -> Place {
        match layers.iter().map(|layer| layer[block as usize]).find(|says| *says != Says::Nothing) {
            Some(Says::Data(chunk)) => place_in(chunk, block),
            _ => Place::Hole,
        }
    }

    fn below_has_data(&self, block: u64) -> bool {
        Self::place_in_layers(&self.0[1..], block) != Place::Hole
    }

    fn stored(&self, layer: usize) -> LeafChunks {
        let mut chunks = LeafChunks::new();
        for slot in 0..SLOTS {
            let fragments = self.stored_chunk(layer, slot);
            if !fragments.is_empty() {
                chunks.insert(slot, fragments);
            }
        }
        chunks
    }

    fn stored_chunk(&self, layer: usize, slot: u16) -> Box<[Fragment]> {
        let mut fragments: Vec<Fragment> = Vec::new();
        for bit in 0..BLOCKS_PER_CHUNK {
            let chunk = match self.0[layer][(u64::from(slot) * BLOCKS_PER_CHUNK + bit) as usize] {
                Says::Nothing => continue,
                Says::Zeroes => ChunkNumber::ZEROES,
                Says::Data(chunk) => chunk,
            };
            match fragments.iter_mut().find(|fragment| fragment.chunk() == chunk) {
                Some(fragment) => *fragment = fragment.with_mask(fragment.mask() | 1 << bit),
                None => fragments.push(Fragment::new(chunk, 1 << bit)),
            }
        }
        fragments.into_boxed_slice()
    }
}

/// Up to three chunks for each slot, as after merges.
fn random_layer(random: &SeededRandom, next_chunk: &mut u64) -> Vec<Says> {
    let mut layer = Vec::new();
    for _ in 0..SLOTS {
        let chunks: Vec<_> = (0..3).map(|at| ChunkNumber(*next_chunk + at)).collect();
        *next_chunk += 3;
        layer.extend((0..BLOCKS_PER_CHUNK).map(|_| match random.below(8) {
            0..3 => Says::Nothing,
            3 => Says::Zeroes,
            _ => Says::Data(chunks[random.below(3) as usize]),
        }));
    }
    layer
}

fn sorted(fragments: &[Fragment]) -> Vec<u64> {
    let mut bits: Vec<_> = fragments.iter().map(|fragment| fragment.bits()).collect();
    bits.sort_unstable();
    bits
}

fn compare(leaf: &ResolvedLeaf, model: &Model) {
    for block in 0..BLOCKS {
        assert_eq!(leaf.place(block), model.place(block), "block {block}");
        assert_eq!(
            leaf.is_owned(block),
            matches!(model.0[0][block as usize], Says::Data(_)),
            "block {block}"
        );
    }
}

/// What the leaf would store of the top layer means the same as the model's top layer.
fn compare_stored(leaf: &ResolvedLeaf, model: &Model) {
    for slot in 0..SLOTS {
        let of_data = |fragments: &[Fragment]| -> Vec<_> {
            fragments.iter().copied().filter(|f| !f.is_zeroes()).collect()
        };
        let (stored, wanted) = (leaf.top_entry(slot), model.stored_chunk(0, slot));
        assert_eq!(sorted(&of_data(&stored)), sorted(&of_data(&wanted)));
        let zeroes = stored.iter().filter(|fragment| fragment.is_zeroes()).fold(0, |mask, f| mask | f.mask());
        for bit in 0..BLOCKS_PER_CHUNK {
            let block = u64::from(slot) * BLOCKS_PER_CHUNK + bit;
            let needs_zeroes = model.0[0][block as usize] == Says::Zeroes && model.below_has_data(block);
            assert!(!needs_zeroes || zeroes >> bit & 1 == 1, "block {block} must hide what is below");
        }
    }
}

#[test]
fn a_resolved_leaf_follows_the_model_through_random_changes() {
    for seed in 0..400 {
        let random = SeededRandom::new(seed);
        let mut next_chunk = 1;
        let mut model = Model::random(&random, &mut next_chunk);
        let stored: Vec<_> = (0..model.0.len()).map(|layer| model.stored(layer)).collect();
        let mut leaf = ResolvedLeaf::resolve(0, &stored);
        compare(&leaf, &model);
        for step in 0..30 {
            let slot = random.below(u64::from(SLOTS)) as u16;
            let mask = random.next_u64() as u16;
            let blocks = (0..BLOCKS_PER_CHUNK)
                .filter(|bit| mask >> bit & 1 == 1)
                .map(|bit| (u64::from(slot) * BLOCKS_PER_CHUNK + bit) as usize);
            match random.below(5) {
                0 => {
                    model.0.insert(0, vec![Says::Nothing; BLOCKS as usize]);
                    leaf.freeze(step + 1);
                }
                1 | 2 => {
                    let plan = leaf.plan_discard(slot, mask);
                    let held =
                        blocks.clone().filter(|block| matches!(model.0[0][*block], Says::Data(_))).count();
                    assert_eq!(plan.map_or(0, |plan| plan.block_count()), held as u64);
                    leaf.discard(slot, mask);
                    blocks.for_each(|block| model.0[0][block] = Says::Zeroes);
                }
                _ => {
                    let new = mask & !leaf.owned_blocks(slot);
                    let own = leaf.owned_chunks(slot).next().filter(|_| random.below(2) == 0);
                    let target = own.unwrap_or(ChunkNumber(next_chunk));
                    next_chunk += 1;
                    if new != 0 {
                        leaf.own(slot, target, new);
                    }
                    let taken = blocks.filter(|block| new >> (block % 16) & 1 == 1);
                    taken.for_each(|block| model.0[0][block] = Says::Data(target));
                }
            }
            compare(&leaf, &model);
            compare_stored(&leaf, &model);
        }
    }
}

#[test]
fn runs_join_what_lies_together_and_nothing_else() {
    let place = |block: u64| match block {
        0 | 1 => Place::Hole,
        2..5 => Place::At(block * BLOCK_BYTES),
        _ => Place::At((block + 7) * BLOCK_BYTES),
    };
    let found: Vec<_> = runs(0, 7, place).map(|run| (run.first, run.count)).collect();
    assert_eq!(found, [(0, 2), (2, 3), (5, 2)]);
}
