-- Proves from the table alone that nothing is missing and nothing is double.
--
--   snowsql -f audit.sql          or paste it into a worksheet; it only reads
--
-- What it rests on. A row is (install_id, epoch, seq). An install is one spool's life, an epoch one
-- boot's stretch of rows, and seq grows by one over all epochs of an install. So every number from 1
-- to the newest must be a row, or be told by a row of kind 'gap' (detail: first_seq, last_seq, count,
-- reason): thinned, dropped, quarantine, seq_jump, lost_by_cut.
--
-- Epochs may overlap in seq: when a card rolls back, the next epoch begins inside the stretch of the
-- one before. An event 'tail_lost' or 'boots_lost' tells where. Therefore each epoch is proven by
-- itself from its first to its greatest seq, and the epochs are chained at the place that was told.
--
-- What it cannot prove: that the newest rows are all of them (they may be on their way:
-- thermal-shipper audit on the device compares both ends), and ticks that were never stored (they
-- have no seq; gap rows not_running, killed, missed_ticks and memory_full count them).
--
-- Read the answer from the bottom: the last line is the verdict. level is
--   fact          a number to know
--   explained     missing or repeated, and a row of the table says why
--   unexplained   somebody must look; the text says what to do

SET thermal_table = 'THERMAL.PUBLIC.READINGS';

WITH readings AS (
    SELECT
        install_id, epoch, seq, boot_id, kind,
        COALESCE(in_doubt, FALSE) AS flagged,
        detail:event::VARCHAR AS event,
        detail:reason::VARCHAR AS reason,
        detail:first_seq::NUMBER(38, 0) AS told_first,
        detail:last_seq::NUMBER(38, 0) AS told_last,
        detail:count::NUMBER(38, 0) AS told_count,
        -- A gap row that took over the gap rows it met counts those rows, and their counts by reason.
        detail:gap_rows::NUMBER(38, 0) AS taken_over,
        detail:merged.thinned::NUMBER(38, 0) AS merged_thinned,
        detail:merged.dropped::NUMBER(38, 0) AS merged_dropped,
        detail:merged.quarantine::NUMBER(38, 0) AS merged_quarantine,
        detail:merged.seq_jump::NUMBER(38, 0) AS merged_seq_jump,
        detail:merged.lost_by_cut::NUMBER(38, 0) AS merged_lost_by_cut,
        -- What an event of shipping tells; positions are [order of the epoch, seq].
        TRY_TO_NUMBER(detail:detail.rows::VARCHAR) AS refused_rows,
        TRY_TO_NUMBER(detail:detail.after[1]::VARCHAR) AS refused_after,
        TRY_TO_NUMBER(detail:detail.through[1]::VARCHAR) AS refused_through,
        TRY_TO_NUMBER(detail:detail.cursor[1]::VARCHAR) AS branch_after,
        detail:detail.token::VARCHAR AS token
    FROM IDENTIFIER($thermal_table)
),

-- Rows of `thermal-shipper check --send-test` have an epoch of their own and prove only the way.
check_epochs AS (
    SELECT install_id, epoch
    FROM readings
    GROUP BY install_id, epoch
    HAVING COUNT(*) = COUNT_IF(kind = 'event' AND event = 'check')
),
live AS (
    SELECT r.*
    FROM readings r
    LEFT JOIN check_epochs c ON c.install_id = r.install_id AND c.epoch = r.epoch
    WHERE c.epoch IS NULL
),

-- One line a key. A tombstone stands for a row that could not be sent; the row itself, requeued
-- later, has the same key and supersedes it: together they count as one.
row_keys AS (
    SELECT
        install_id, epoch, seq,
        COUNT(*) AS copies,
        COUNT_IF(kind <> 'tombstone') AS bodies,
        COUNT_IF(kind <> 'tombstone' AND NOT flagged) AS plain_bodies,
        COUNT_IF(kind = 'tombstone') AS tombstones,
        COUNT_IF(kind = 'tombstone' AND NOT flagged) AS plain_tombstones
    FROM readings
    GROUP BY install_id, epoch, seq
),
epochs AS (
    SELECT
        install_id, epoch,
        MIN(seq) AS first_seq, MAX(seq) AS last_seq, COUNT(DISTINCT boot_id) AS boots
    FROM live
    GROUP BY install_id, epoch
),

-- Where a card rolled back: rows after the told place are of another branch, in every epoch that
-- the server's token names (its own and its ancestors).
branches AS (
    SELECT DISTINCT install_id, branch_after, token
    FROM live
    WHERE kind = 'event' AND event IN ('tail_lost', 'boots_lost')
        AND token IS NOT NULL AND branch_after > 0
),
cuts AS (
    SELECT e.install_id, e.epoch, MIN(b.branch_after) AS cut
    FROM epochs e
    JOIN branches b ON b.install_id = e.install_id
    WHERE CONTAINS(b.token, e.epoch) AND e.last_seq > b.branch_after
    GROUP BY e.install_id, e.epoch
),
chain AS (  -- each epoch with the end of its part of the chain, the rest being a dead branch
    SELECT e.*, LEAST(e.last_seq, COALESCE(c.cut, e.last_seq)) AS chain_last
    FROM epochs e
    LEFT JOIN cuts c ON c.install_id = e.install_id AND c.epoch = e.epoch
),
gaps AS (  -- gap rows of numbered rows; a copy that was sent again in doubt counts once
    SELECT
        g.install_id, g.epoch, g.seq, g.reason,
        g.told_first, g.told_last, g.told_count,
        CASE
            WHEN g.taken_over IS NULL THEN g.told_count
            ELSE g.taken_over
                + COALESCE(g.merged_thinned, 0) + COALESCE(g.merged_dropped, 0)
                + COALESCE(g.merged_quarantine, 0) + COALESCE(g.merged_seq_jump, 0)
                + COALESCE(g.merged_lost_by_cut, 0)
        END AS told_rows,
        g.seq <= c.chain_last AS on_chain
    FROM (SELECT DISTINCT install_id, epoch, seq, reason, told_first, told_last, told_count,
              taken_over, merged_thinned, merged_dropped, merged_quarantine, merged_seq_jump,
              merged_lost_by_cut
          FROM live WHERE kind = 'gap' AND told_first IS NOT NULL) g
    JOIN chain c ON c.install_id = g.install_id AND c.epoch = g.epoch
),

-- Missing, inside epochs: rows and told ranges of one epoch as spans; between two spans that do
-- not touch, something is missing.
epoch_spans AS (
    SELECT install_id, epoch, seq AS span_first, seq AS span_last
    FROM row_keys
    UNION ALL
    -- A gap row of the chain explains numbers of the chain; one of a dead branch those of its epoch.
    SELECT c.install_id, c.epoch, GREATEST(g.told_first, c.first_seq),
        CASE WHEN g.epoch = c.epoch THEN g.told_last ELSE LEAST(g.told_last, c.chain_last) END
    FROM chain c
    JOIN gaps g ON g.install_id = c.install_id
    WHERE g.told_first <= c.last_seq AND g.told_last >= c.first_seq
        AND (g.epoch = c.epoch OR (g.on_chain AND g.told_first <= c.chain_last))
),
epoch_breaks AS (
    SELECT s.*, MAX(s.span_last) OVER (
        PARTITION BY s.install_id, s.epoch ORDER BY s.span_first, s.span_last
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_to
    FROM epoch_spans s
    JOIN epochs e ON e.install_id = s.install_id AND e.epoch = s.epoch
),

-- Missing, between epochs: from 0 along the chain, epochs and told ranges as spans.
chain_spans AS (
    SELECT DISTINCT install_id, 0 AS span_first, 0 AS span_last FROM chain
    UNION ALL
    SELECT install_id, first_seq, chain_last FROM chain WHERE first_seq <= chain_last
    UNION ALL
    SELECT install_id, told_first, told_last FROM gaps WHERE on_chain
),
chain_breaks AS (
    SELECT chain_spans.*, MAX(span_last) OVER (
        PARTITION BY install_id ORDER BY span_first, span_last
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_to
    FROM chain_spans
),
missing AS (
    SELECT install_id, epoch, covered_to + 1 AS first_seq, span_first - 1 AS last_seq
    FROM epoch_breaks WHERE span_first > covered_to + 1
    UNION ALL
    SELECT install_id, NULL, covered_to + 1, span_first - 1
    FROM chain_breaks WHERE span_first > covered_to + 1
),

-- Rows that the server refused after accepting them: an event tells the range and how many.
refusals AS (
    SELECT DISTINCT install_id, seq, refused_after, refused_through, refused_rows
    FROM live WHERE kind = 'event' AND event = 'rows_rejected' AND refused_rows IS NOT NULL
),
refusals_that_fit AS (
    SELECT r.install_id, r.seq, r.refused_after, r.refused_through
    FROM refusals r
    JOIN missing m ON m.install_id = r.install_id
        AND m.first_seq > r.refused_after AND m.last_seq <= r.refused_through
    GROUP BY r.install_id, r.seq, r.refused_after, r.refused_through, r.refused_rows
    HAVING SUM(m.last_seq - m.first_seq + 1) <= r.refused_rows
),
missing_judged AS (
    SELECT m.install_id, m.epoch, m.first_seq, m.last_seq, MIN(r.seq) AS refusal_seq
    FROM missing m
    LEFT JOIN refusals_that_fit r ON r.install_id = m.install_id
        AND m.first_seq > r.refused_after AND m.last_seq <= r.refused_through
    GROUP BY m.install_id, m.epoch, m.first_seq, m.last_seq
),

-- Gap rows against the rows: told ranges that touch are one island; of its numbers as many may be
-- absent as its gap rows (and refusals) count. More would hide a loss behind a gap row.
chain_rows AS (
    SELECT DISTINCT k.install_id, k.seq
    FROM row_keys k
    JOIN chain c ON c.install_id = k.install_id AND c.epoch = k.epoch
    WHERE k.seq <= c.chain_last
),
gap_starts AS (
    SELECT gaps.*, CASE WHEN told_first <= 1 + MAX(told_last) OVER (
        PARTITION BY install_id ORDER BY told_first, told_last, seq
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS starts
    FROM gaps WHERE on_chain
),
gap_members AS (
    SELECT gap_starts.*, SUM(starts) OVER (
        PARTITION BY install_id ORDER BY told_first, told_last, seq
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS island
    FROM gap_starts
),
gap_ends AS (  -- the ends of a told range are rows that left, so no row should be there
    SELECT g.install_id, g.island, COUNT(DISTINCT r.seq) AS ends_present
    FROM gap_members g
    JOIN chain_rows r ON r.install_id = g.install_id AND r.seq IN (g.told_first, g.told_last)
    GROUP BY g.install_id, g.island
),
islands AS (
    SELECT install_id, island, MIN(told_first) AS first_seq, MAX(told_last) AS last_seq,
        SUM(told_rows) AS told_rows
    FROM gap_members
    GROUP BY install_id, island
),
island_rows AS (
    SELECT i.install_id, i.island, COUNT(r.seq) AS present
    FROM islands i
    LEFT JOIN chain_rows r ON r.install_id = i.install_id
        AND r.seq BETWEEN i.first_seq AND i.last_seq
    GROUP BY i.install_id, i.island
),
island_refusals AS (
    SELECT i.install_id, i.island, SUM(f.refused_rows) AS refused
    FROM islands i
    JOIN refusals f ON f.install_id = i.install_id
        AND f.refused_after < i.last_seq AND f.refused_through >= i.first_seq
    GROUP BY i.install_id, i.island
),
islands_judged AS (
    SELECT i.install_id, i.first_seq, i.last_seq, i.told_rows,
        i.last_seq - i.first_seq + 1 - n.present AS absent,
        COALESCE(f.refused, 0) AS refused, COALESCE(e.ends_present, 0) AS ends_present
    FROM islands i
    JOIN island_rows n ON n.install_id = i.install_id AND n.island = i.island
    LEFT JOIN island_refusals f ON f.install_id = i.install_id AND f.island = i.island
    LEFT JOIN gap_ends e ON e.install_id = i.install_id AND e.island = i.island
),

findings AS (
    -- 1. Facts of each install.
    SELECT 1 AS part, 'fact' AS level, 'rows' AS finding, install_id, NULL AS epoch,
        MIN(seq) AS first_seq, MAX(seq) AS last_seq, COUNT(*) AS n,
        COUNT(DISTINCT epoch) || ' epochs' AS what
    FROM live GROUP BY install_id
    UNION ALL
    SELECT 1, 'fact', 'rows of kind ' || kind, install_id, NULL, MIN(seq), MAX(seq), COUNT(*), ''
    FROM live GROUP BY install_id, kind
    UNION ALL
    SELECT 1, 'fact', 'told by gap rows: ' || reason, install_id, NULL,
        MIN(told_first), MAX(told_last), SUM(told_count), COUNT(*) || ' gap rows'
    FROM (SELECT DISTINCT install_id, epoch, seq, reason, told_first, told_last, told_count
          FROM live WHERE kind = 'gap')
    GROUP BY install_id, reason
    UNION ALL
    SELECT 1, 'fact', 'rows flagged in_doubt', install_id, NULL, MIN(seq), MAX(seq), COUNT(*),
        'an earlier copy of them may be in the table'
    FROM live WHERE flagged GROUP BY install_id
    UNION ALL
    SELECT 1, 'fact', 'rows of check --send-test', r.install_id, NULL, NULL, NULL, COUNT(*),
        'not part of any install''s line'
    FROM readings r
    JOIN check_epochs c ON c.install_id = r.install_id AND c.epoch = r.epoch
    GROUP BY r.install_id
    UNION ALL
    SELECT 1, 'explained', 'tombstones superseded', install_id, NULL, MIN(seq), MAX(seq), COUNT(*),
        'the row was requeued and is here'
    FROM row_keys WHERE tombstones > 0 AND bodies > 0 GROUP BY install_id
    UNION ALL
    SELECT 1, 'explained', 'tombstone', install_id, epoch, seq, seq, 1,
        'the row could not be sent: thermal-shipper audit must list its dead letter'
    FROM row_keys WHERE tombstones > 0 AND bodies = 0
    UNION ALL

    -- 2. Missing ranges.
    SELECT 2, CASE WHEN refusal_seq IS NULL THEN 'unexplained' ELSE 'explained' END, 'missing',
        install_id, epoch, first_seq, last_seq, last_seq - first_seq + 1,
        CASE
            WHEN refusal_seq IS NOT NULL
                THEN 'refused by the table: kept as a dead-letter range, told by the event row '
                    || refusal_seq
            WHEN epoch IS NULL
                THEN 'between epochs no row has these numbers and no gap row tells of them; '
                    || 'see thermal-shipper audit on the device, and its dead letters'
            ELSE 'inside an epoch no row has these numbers and no gap row tells of them; '
                || 'see thermal-shipper audit on the device, and its dead letters'
        END
    FROM missing_judged
    UNION ALL
    SELECT 2, 'unexplained', 'overlap', b.install_id, b.epoch, b.first_seq,
        LEAST(a.chain_last, b.chain_last), LEAST(a.chain_last, b.chain_last) - b.first_seq + 1,
        'begins inside epoch ' || a.epoch || ' and no event tells where the card rolled back, so '
            || 'its beginning is not proven; the event may come after the end of the UTC day'
    FROM chain a
    JOIN chain b ON b.install_id = a.install_id AND b.epoch <> a.epoch
    WHERE b.first_seq <= a.chain_last AND b.first_seq <= b.chain_last
        AND (a.first_seq < b.first_seq OR (a.first_seq = b.first_seq AND a.epoch < b.epoch))
    UNION ALL

    -- 3. Keys that are there more than once.
    SELECT 3,
        CASE WHEN plain_bodies > 1 OR plain_tombstones > 1 THEN 'unexplained' ELSE 'explained' END,
        'double', install_id, epoch, seq, seq, copies - 1,
        CASE WHEN plain_bodies > 1 OR plain_tombstones > 1
            THEN 'more than one copy without in_doubt: find who else writes to the channel or table'
            ELSE 'copies are flagged in_doubt: count the key once' END
    FROM row_keys WHERE bodies > 1 OR tombstones > 1
    UNION ALL

    -- 4. Identity: 64 random bits never name the epoch of two installs, nor of two boots.
    SELECT 4, 'unexplained', 'two boots', install_id, epoch, first_seq, last_seq, boots,
        'one epoch has rows of several boots: two devices may write as one install'
    FROM epochs WHERE boots > 1
    UNION ALL
    SELECT 4, 'unexplained', 'two installs', MIN(install_id), epoch, MIN(first_seq), MAX(last_seq),
        COUNT(*), 'one epoch has rows of several installs, up to ' || MAX(install_id)
    FROM epochs GROUP BY epoch HAVING COUNT(*) > 1
    UNION ALL

    -- 5. Gap rows that do not fit the rows.
    SELECT 5, 'unexplained', 'gap row hides a loss', install_id, NULL, first_seq, last_seq,
        absent - told_rows - refused,
        absent || ' numbers are absent, gap rows tell of ' || told_rows
    FROM islands_judged WHERE absent > told_rows + refused
    UNION ALL
    SELECT 5, 'explained', 'arrived all the same', install_id, NULL, first_seq, last_seq,
        told_rows - absent,
        'gap rows tell of ' || told_rows || ', ' || absent || ' numbers are absent: a gap row means '
            || 'no longer in the spool, not lost'
    FROM islands_judged WHERE absent < told_rows
    UNION ALL
    SELECT 5, 'unexplained', 'gap row too long', install_id, NULL, first_seq, last_seq,
        ends_present,
        'a told range ends at a row that is here, although as many are absent as are told'
    FROM islands_judged WHERE ends_present > 0 AND absent >= told_rows
    UNION ALL
    SELECT 5, 'unexplained', 'gap row is wrong', install_id, epoch, told_first, told_last,
        told_count,
        'row ' || seq || ' (' || reason || ') counts ' || told_count || ' of '
            || (told_last - told_first + 1) || ' numbers'
    FROM gaps
    WHERE told_last < told_first OR told_last >= seq OR told_rows > told_last - told_first + 1
        OR (reason IN ('seq_jump', 'lost_by_cut')
            AND told_count <> told_last - told_first + 1)
),
verdict AS (
    SELECT
        COUNT_IF(level = 'unexplained') AS unexplained,
        COALESCE(SUM(CASE WHEN level = 'unexplained' AND finding = 'missing' THEN n END), 0)
            AS missing_rows,
        COALESCE(SUM(CASE WHEN level = 'unexplained' AND finding = 'double' THEN n END), 0)
            AS double_rows,
        COALESCE(SUM(CASE WHEN finding = 'rows' THEN n END), 0) AS table_rows,
        COUNT_IF(finding = 'rows') AS installs
    FROM findings
)

SELECT part, level, finding, install_id, epoch, first_seq, last_seq, n, what
FROM findings
UNION ALL
-- 6. The verdict.
SELECT 6,
    CASE WHEN unexplained = 0 AND table_rows > 0 THEN 'fact' ELSE 'unexplained' END, 'verdict',
    NULL, NULL, NULL, NULL, unexplained,
    CASE
        WHEN table_rows = 0 THEN 'THE TABLE HAS NO ROWS: nothing is proven'
        WHEN unexplained = 0
            THEN 'NOTHING MISSING, NOTHING DOUBLE: ' || table_rows || ' rows of ' || installs
                || ' installs'
        ELSE unexplained || ' FINDINGS ARE UNEXPLAINED: ' || missing_rows || ' rows missing, '
            || double_rows || ' double, among ' || table_rows || ' rows of ' || installs
            || ' installs'
    END
FROM verdict
ORDER BY part, level, install_id, first_seq, finding;
