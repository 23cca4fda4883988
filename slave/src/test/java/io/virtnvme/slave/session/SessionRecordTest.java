package io.virtnvme.slave.session;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HexFormat;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** The record goes between processes of different builds: its bytes are pinned. */
class SessionRecordTest {
  private static final int QUEUE_COUNT = 3;
  private static final SessionRules RULES = new SessionRules(-1L, -1L, QUEUE_COUNT);

  /** A state with something in every field. */
  private static SessionState full() {
    return SessionState.initial(QUEUE_COUNT)
        .withFeatures(0x1_7000_0000L)
        .withProtocolFeatures(0x1234)
        .withStatus(15)
        .withRegion(0, new RegionState(0x1000, 0x7f00_0000_1000L, 0x2000, 0x3000))
        .withRegion(5, new RegionState(0x9000, 0x7f00_0000_9000L, 0x1000, 0))
        .withInflight(new InflightState(false, 0x4000, 8, 2, 128))
        .withLog(new AreaState(0x100, 0x10))
        .withBackendRequest(true)
        .withLogNotify(true)
        .withRing(
            1,
            new RingState(
                128,
                true,
                RingState.Kick.DESCRIPTOR,
                true,
                true,
                0x1234,
                new RingState.Addresses(0x11, 0x22, 0x33, true, 0x44)))
        .withRing(2, RingState.INITIAL.withKick(RingState.Kick.POLLED));
  }

  @Example
  void shouldKeepItsBytes() {
    assertEquals(
        "56555352"
            + "01000000"
            + "38010000"
            + "3b000000"
            + "0000007001000000"
            + "3412000000000000"
            + "0f000000"
            + "02000000"
            + "03000000"
            + "02000000"
            + "80000000"
            + "00000000"
            + "0040000000000000"
            + "0800000000000000"
            + "0001000000000000"
            + "1000000000000000"
            + "0000000000000000"
            + "0010000000000000"
            + "00100000007f0000"
            + "0020000000000000"
            + "0030000000000000"
            + "0500000000000000"
            + "0090000000000000"
            + "00900000007f0000"
            + "0010000000000000"
            + "0000000000000000"
            + "00".repeat(48)
            + "80000000"
            + "1f010000"
            + "34120000"
            + "00000000"
            + "1100000000000000"
            + "2200000000000000"
            + "3300000000000000"
            + "4400000000000000"
            + "00000000"
            + "00020000"
            + "00".repeat(40),
        HexFormat.of().formatHex(SessionRecord.encode(full())));
  }

  @Property
  void shouldReadWhatItWrote(@ForAll("states") final SessionState state) {
    assertEquals(state, SessionRecord.decode(SessionRecord.encode(state)));
  }

  /** Whatever one byte becomes: refused, or a state within all bounds that writes these bytes. */
  @Property(tries = 200)
  void shouldNeverTrustAChangedByte(@ForAll("states") final SessionState state) {
    final byte[] record = SessionRecord.encode(state);
    for (int i = 0; i < record.length; i++) {
      for (final int bits : new int[] {0x01, 0x80, 0xFF}) {
        final byte[] changed = record.clone();
        changed[i] ^= (byte) bits;
        judge(changed);
      }
    }
  }

  @Property
  void shouldNeverTrustAnyBytes(@ForAll final byte[] bytes) {
    final byte[] record = Arrays.copyOf(SessionRecord.encode(full()), bytes.length);
    judge(bytes);
    for (int i = SessionRecord.HEADER_LENGTH / 2; i < bytes.length; i++) {
      record[i] = bytes[i];
    }
    judge(record);
  }

  private static void judge(final byte[] record) {
    final SessionState read;
    try {
      read = SessionRecord.decode(record);
      RULES.check(read);
    } catch (final SessionException e) {
      assertTrue(!e.getMessage().isEmpty());
      return;
    }
    assertArrayEquals(record, SessionRecord.encode(read));
    for (final RegionState region : read.regions()) {
      assertTrue(
          region == null
              || (region.lengthBytes() > 0
                  && region.fileOffsetBytes() >= 0
                  && region.fileOffsetBytes() + region.lengthBytes() > 0));
    }
    for (int i = 0; i < QUEUE_COUNT; i++) {
      assertTrue(read.ring(i).size() >= 0 && read.ring(i).size() <= 1024);
    }
  }

  @Example
  void shouldRefuseEveryCut() {
    final byte[] record = SessionRecord.encode(full());
    for (int length = 0; length < record.length; length++) {
      final byte[] cut = Arrays.copyOf(record, length);
      assertThrows(SessionException.class, () -> SessionRecord.decode(cut));
    }
    final byte[] longer = Arrays.copyOf(record, record.length + 1);
    assertThrows(SessionException.class, () -> SessionRecord.decode(longer));
  }

  @Example
  void shouldNameTheVersionThatItCannotRead() {
    final byte[] record = SessionRecord.encode(full());
    record[4] = 2;
    final SessionException e =
        assertThrows(SessionException.class, () -> SessionRecord.decode(record));
    assertEquals(
        "session record: written by another build: version=2, this one reads 1", e.getMessage());
  }

  @Provide
  Arbitrary<SessionState> states() {
    return Combinators.combine(
            Arbitraries.longs(),
            Arbitraries.longs(),
            Arbitraries.integers().between(0, 255),
            rings().list().ofSize(QUEUE_COUNT),
            regions().list().ofSize(FdSlots.REGION_COUNT_MAX),
            inflights().injectNull(0.3),
            Combinators.combine(Arbitraries.longs(), Arbitraries.longs())
                .as(AreaState::new)
                .injectNull(0.5),
            Arbitraries.integers().between(0, 7))
        .as(
            (features, protocol, status, rings, regions, inflight, log, flags) ->
                new SessionState(
                    features,
                    protocol,
                    status,
                    (flags & 1) != 0,
                    regions,
                    rings,
                    inflight,
                    log,
                    (flags & 2) != 0,
                    (flags & 4) != 0));
  }

  private static Arbitrary<RegionState> regions() {
    return Combinators.combine(
            Arbitraries.longs(),
            Arbitraries.longs(),
            Arbitraries.longs().between(0, 1L << 40),
            Arbitraries.longs())
        .as(RegionState::new)
        .injectNull(0.9);
  }

  private static Arbitrary<InflightState> inflights() {
    return Combinators.combine(
            Arbitraries.of(true, false),
            Arbitraries.longs(),
            Arbitraries.longs(),
            Arbitraries.integers(),
            Arbitraries.integers())
        .as(InflightState::new);
  }

  private static Arbitrary<RingState> rings() {
    final Arbitrary<RingState.Addresses> addresses =
        Combinators.combine(
                Arbitraries.longs(),
                Arbitraries.longs(),
                Arbitraries.longs(),
                Arbitraries.of(true, false),
                Arbitraries.longs())
            .as(RingState.Addresses::new);
    return Combinators.combine(
            Arbitraries.integers(),
            Arbitraries.of(true, false),
            Arbitraries.of(RingState.Kick.values()),
            Arbitraries.of(true, false),
            Arbitraries.of(true, false),
            Arbitraries.integers(),
            addresses.injectNull(0.5))
        .as(RingState::new);
  }
}
