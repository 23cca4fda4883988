package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.slave.session.SessionException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * The controller's state as bytes, little endian: made by the slave that serves it, kept twice in
 * the controller area, read by standbys and successors.
 *
 * <pre>
 *  0      +-------------------------------+-------------------------------+
 *         |            magic              |            version            |
 *  8      +-------------------------------+-------------------------------+
 *         |           length              |             CC                |
 *  16     +-------------------------------+-------------------------------+
 *         |            AQA                |            CSTS               |
 *  24     +-------------------------------+-------------------------------+
 *         |       interrupt mask          |           reserved            |
 *  32     +-------------------------------+-------------------------------+
 *         |  ASQ, ACQ, next creation, shadow doorbells, event indices,    |
 *         |  created (ms), unsafe shutdowns, error count (8 each)         |
 *  96     +---------------------------------------------------------------+
 *         |  features (4 each): arbitration, power management,            |
 *         |  temperature over, under, write cache, interrupt coalescing,  |
 *         |  write atomicity, async event configuration                   |
 *  128    +-------------------------------+-------------------------------+
 *         |       pending events          |         masked events         |
 *  136    +-------------------------------+-------------------------------+
 *         |  flags: 1 executed, 2 told    |  executed: status             |
 *  144    +-------------------------------+-------------------------------+
 *         |  executed: result             |  told: result                 |
 *  152    +-------------------------------+-------------------------------+
 *         |  executed: fetch number (8)   |  told: fetch number (8)       |
 *  168    +-------------------------------+-------------------------------+
 *         |  counts (4 each): completion queues, submission queues,       |
 *         |  event requests, changed namespaces, errors, namespaces,      |
 *         |  uncoalesced vectors, own identifiers                         |
 *  200    +---------------------------------------------------------------+ completion queues
 *         |  id, entries, vector, reserved (4 each); address, creation    |
 *  +32    +---------------------------------------------------------------+ submission queues
 *         |  id, entries, completion queue, reserved; address, creation   |
 *  +32    +---------------------------------------------------------------+ errors
 *         |  queue, command id, status, location (4 each); block (8);     |
 *         |  namespace, reserved                                          |
 *  +32    +---------------------------------------------------------------+ namespaces
 *         |  id, bytes of a block, flags (1 read-only), error recovery;   |
 *         |  blocks (8); UUID (16)                                        |
 *  +40    +---------------------------------------------------------------+
 *         |  event requests: fetch numbers (8 each)                       |
 *         |  changed namespaces: ids (4 each)                             |
 *         |  uncoalesced vectors (4 each)                                 |
 *  +..    +---------------------------------------------------------------+ own identifiers
 *         |  namespace id, reserved (4 each); NGUID (16); EUI64 (8)        |
 *  +32    +---------------------------------------------------------------+
 * </pre>
 *
 * <p>Own identifiers are those of namespaces that were given others than their UUID makes. An image
 * with such a list has version 2, any other version 1, which earlier builds read too: those know no
 * such identifiers and would show the guest others in the middle of its work.
 *
 * <p>There is one encoding for a state: what decodes encodes to the same bytes again.
 */
public final class ControllerImage {
  /** Bytes of an image at most. */
  public static final int LENGTH_MAX = 64 << 10;

  /** Grows with every change; a reader refuses what it does not know. */
  public static final int VERSION = 1;

  /** Of an image in which a namespace has identifiers of its own. */
  static final int VERSION_OWN_IDS = 2;

  static final int MAGIC = 0x4C54_434E; // "NCTL"
  static final int HEADER_LENGTH = 200;
  static final int QUEUE_LENGTH = 32;
  static final int ERROR_LENGTH = 32;
  static final int NAMESPACE_LENGTH = 40;
  static final int OWN_IDS_LENGTH = 32;

  private static final int FLAG_EXECUTED = 1;
  private static final int FLAG_TOLD = 2;

  private ControllerImage() {}

  static byte[] encode(final ControllerState state) {
    final EventState events = state.events();
    final List<Namespace> owners =
        state.namespaces().stream()
            .map(ShownNamespace::namespace)
            .filter(namespace -> namespace.ids().hasOwn())
            .toList();
    final int length =
        HEADER_LENGTH
            + (state.completionQueues().size() + state.submissionQueues().size()) * QUEUE_LENGTH
            + state.errors().entries().size() * ERROR_LENGTH
            + state.namespaces().size() * NAMESPACE_LENGTH
            + events.outstanding().size() * Long.BYTES
            + events.changedNamespaces().size() * Integer.BYTES
            + state.features().uncoalesced().size() * Integer.BYTES
            + owners.size() * OWN_IDS_LENGTH;
    final ByteBuffer out = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    encodeHeader(out, state, owners.isEmpty() ? VERSION : VERSION_OWN_IDS);
    encodeExecuted(out, state.executed(), events.completed());
    out.putInt(state.completionQueues().size()).putInt(state.submissionQueues().size());
    out.putInt(events.outstanding().size()).putInt(events.changedNamespaces().size());
    out.putInt(state.errors().entries().size()).putInt(state.namespaces().size());
    out.putInt(state.features().uncoalesced().size()).putInt(owners.size());
    for (final CompletionQueue queue : state.completionQueues()) {
      out.putInt(queue.queueId()).putInt(queue.entryCount()).putInt(queue.vector()).putInt(0);
      out.putLong(queue.guestAddress()).putLong(queue.creation());
    }
    for (final SubmissionQueue queue : state.submissionQueues()) {
      out.putInt(queue.queueId()).putInt(queue.entryCount()).putInt(queue.completionQueueId());
      out.putInt(0).putLong(queue.guestAddress()).putLong(queue.creation());
    }
    for (final CommandError error : state.errors().entries()) {
      out.putInt(error.queueId()).putInt(error.commandId()).putInt(error.status());
      out.putInt(error.location()).putLong(error.block()).putInt(error.namespaceId()).putInt(0);
    }
    state.namespaces().forEach(shown -> encodeNamespace(out, shown));
    events.outstanding().forEach(out::putLong);
    events.changedNamespaces().forEach(out::putInt);
    state.features().uncoalesced().forEach(out::putInt);
    owners.forEach(namespace -> encodeOwnIds(out, namespace));
    return out.array();
  }

  private static void encodeHeader(
      final ByteBuffer out, final ControllerState state, final int version) {
    final RegisterState registers = state.registers();
    final FeatureState features = state.features();
    out.putInt(MAGIC).putInt(version).putInt(out.capacity()).putInt(registers.cc());
    out.putInt(registers.aqa()).putInt(registers.status());
    out.putInt(registers.interruptMask()).putInt(0);
    out.putLong(registers.asq()).putLong(registers.acq()).putLong(state.queues().nextCreation());
    out.putLong(state.shadowDoorbellAddress()).putLong(state.eventIndexAddress());
    out.putLong(state.createdMs()).putLong(state.unsafeShutdowns());
    out.putLong(state.errors().count());
    out.putInt(features.arbitration()).putInt(features.powerManagement());
    out.putInt(features.temperatureOver()).putInt(features.temperatureUnder());
    out.putInt(features.writeCache()).putInt(features.coalescing());
    out.putInt(features.writeAtomicity()).putInt(features.asyncEvents());
    out.putInt(state.events().pending()).putInt(state.events().masked());
  }

  private static void encodeExecuted(
      final ByteBuffer out, final ExecutedCommand executed, final EventState.Completed told) {
    out.putInt((executed != null ? FLAG_EXECUTED : 0) | (told != null ? FLAG_TOLD : 0));
    out.putInt(executed == null ? 0 : executed.status());
    out.putInt(executed == null ? 0 : executed.result());
    out.putInt(told == null ? 0 : told.result());
    out.putLong(executed == null ? 0 : executed.fetchNumber());
    out.putLong(told == null ? 0 : told.fetchNumber());
  }

  private static void encodeNamespace(final ByteBuffer out, final ShownNamespace shown) {
    final Namespace namespace = shown.namespace();
    out.putInt(namespace.id()).putInt(namespace.blockBytes());
    out.putInt(namespace.isReadOnly() ? 1 : 0).putInt(shown.errorRecovery());
    out.putLong(namespace.blockCount());
    putUuid(out, namespace.ids().uuid());
  }

  private static void encodeOwnIds(final ByteBuffer out, final Namespace namespace) {
    out.putInt(namespace.id()).putInt(0);
    putUuid(out, namespace.ids().nguid());
    out.putLong(namespace.ids().eui64());
  }

  private static void putUuid(final ByteBuffer out, final UUID uuid) {
    out.putLong(uuid.getMostSignificantBits()).putLong(uuid.getLeastSignificantBits());
  }

  /**
   * Reads an image. Every number in the result keeps the rules of {@link ImageRules}; guest
   * addresses are to be translated before use, as always. Throws {@link SessionException} for bytes
   * that no build of this version writes.
   */
  public static ControllerState decode(final byte[] image) {
    ImageRules.require(
        image.length >= HEADER_LENGTH && image.length <= LENGTH_MAX,
        "bytes=" + image.length + ", allowed " + HEADER_LENGTH + ".." + LENGTH_MAX);
    final ByteBuffer in = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
    final int magic = in.getInt();
    ImageRules.require(magic == MAGIC, "wrong magic: 0x" + Integer.toHexString(magic));
    final int version = in.getInt();
    ImageRules.require(
        version == VERSION || version == VERSION_OWN_IDS,
        "written by another build: version="
            + version
            + ", this one reads "
            + VERSION
            + " and "
            + VERSION_OWN_IDS);
    final int length = in.getInt();
    ImageRules.require(length == image.length, "length=" + length + " but bytes=" + image.length);
    return decodeBody(in, version == VERSION_OWN_IDS);
  }

  private static ControllerState decodeBody(final ByteBuffer in, final boolean hasOwnIds) {
    final int cc = in.getInt();
    final int aqa = in.getInt();
    final int status = in.getInt();
    final int interruptMask = in.getInt();
    ImageRules.requireZero(in.getInt());
    final RegisterState registers =
        new RegisterState(
            cc,
            aqa,
            in.getLong(),
            in.getLong(),
            interruptMask,
            (status & ControllerRegisters.CSTS_RDY) != 0,
            (status & ControllerRegisters.CSTS_CFS) != 0,
            (status >>> ControllerRegisters.CSTS_SHST_SHIFT) & ControllerRegisters.CSTS_SHST_MASK);
    ImageRules.require(
        registers.status() == status, "unknown bits: CSTS=0x" + Integer.toHexString(status));
    final long nextCreation = in.getLong();
    final long shadowDoorbellAddress = in.getLong();
    final long eventIndexAddress = in.getLong();
    final long createdMs = in.getLong();
    final long unsafeShutdowns = in.getLong();
    final long errorCount = in.getLong();
    final int[] features = getInts(in, 8);
    final int pending = in.getInt();
    final int masked = in.getInt();
    final int flags = in.getInt();
    ImageRules.require(
        (flags & ~(FLAG_EXECUTED | FLAG_TOLD)) == 0,
        "unknown flags: 0x" + Integer.toHexString(flags));
    final int executedStatus = in.getInt();
    final int executedResult = in.getInt();
    final int toldResult = in.getInt();
    final ExecutedCommand executed =
        new ExecutedCommand(in.getLong(), executedStatus, executedResult);
    final EventState.Completed told = new EventState.Completed(in.getLong(), toldResult);
    final boolean hasExecuted = (flags & FLAG_EXECUTED) != 0;
    final boolean hasTold = (flags & FLAG_TOLD) != 0;
    ImageRules.requireZeroUnless(
        hasExecuted, executed.fetchNumber() | executedStatus | executedResult);
    ImageRules.requireZeroUnless(hasTold, told.fetchNumber() | toldResult);
    final int[] counts = getInts(in, 8);
    ImageRules.require(
        hasOwnIds == (counts[7] != 0), "namespaces with own identifiers=" + counts[7]);
    requireCounts(counts, in.remaining());
    final List<CompletionQueue> completionQueues = completionQueues(in, counts[0]);
    final List<SubmissionQueue> submissionQueues = submissionQueues(in, counts[1]);
    final List<CommandError> errors = errors(in, counts[4]);
    final List<ShownNamespace> namespaces = namespaces(in, counts[5]);
    final List<Long> requests = getLongs(in, counts[2]);
    final List<Integer> changed = list(getInts(in, counts[3]));
    final List<Integer> uncoalesced = list(getInts(in, counts[6]));
    final List<ShownNamespace> identified = withOwnIds(in, namespaces, counts[7]);
    final ControllerState state =
        new ControllerState(
            registers,
            new QueueTable(completionQueues, submissionQueues, nextCreation),
            new FeatureState(
                features[0],
                features[1],
                features[2],
                features[3],
                features[4],
                features[5],
                uncoalesced,
                features[6],
                features[7]),
            new EventState(requests, hasTold ? told : null, pending, masked, changed),
            new ErrorLog(errorCount, errors),
            identified,
            hasExecuted ? executed : null,
            shadowDoorbellAddress,
            eventIndexAddress,
            createdMs,
            unsafeShutdowns);
    ImageRules.check(state);
    return state;
  }

  private static void requireCounts(final int[] counts, final int lengthBytes) {
    ImageRules.requireRange(
        "completion queues", counts[0], 0, ControllerConfig.QUEUE_PAIRS_LIMIT + 1);
    ImageRules.requireRange(
        "submission queues", counts[1], 0, ControllerConfig.QUEUE_PAIRS_LIMIT + 1);
    ImageRules.requireRange("event requests", counts[2], 0, ControllerConfig.EVENT_REQUESTS_MAX);
    ImageRules.requireRange(
        "changed namespaces", counts[3], 0, ControllerConfig.NAMESPACE_ID_LIMIT);
    ImageRules.requireRange("errors", counts[4], 0, ErrorLog.ENTRIES_MAX);
    ImageRules.requireRange("namespaces", counts[5], 0, ControllerConfig.NAMESPACE_ID_LIMIT);
    ImageRules.requireRange("vectors", counts[6], 0, ControllerConfig.VECTORS_LIMIT);
    ImageRules.requireRange("namespaces with own identifiers", counts[7], 0, counts[5]);
    final int expected =
        (counts[0] + counts[1]) * QUEUE_LENGTH
            + counts[2] * Long.BYTES
            + counts[3] * Integer.BYTES
            + counts[4] * ERROR_LENGTH
            + counts[5] * NAMESPACE_LENGTH
            + counts[6] * Integer.BYTES
            + counts[7] * OWN_IDS_LENGTH;
    ImageRules.require(
        lengthBytes == expected, "lists take " + expected + " bytes, but there are " + lengthBytes);
  }

  private static List<CompletionQueue> completionQueues(final ByteBuffer in, final int count) {
    final List<CompletionQueue> queues = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      final int id = in.getInt();
      final int entryCount = in.getInt();
      final int vector = in.getInt();
      ImageRules.requireZero(in.getInt());
      queues.add(new CompletionQueue(id, entryCount, in.getLong(), vector, in.getLong()));
    }
    return List.copyOf(queues);
  }

  private static List<SubmissionQueue> submissionQueues(final ByteBuffer in, final int count) {
    final List<SubmissionQueue> queues = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      final int id = in.getInt();
      final int entryCount = in.getInt();
      final int completionQueueId = in.getInt();
      ImageRules.requireZero(in.getInt());
      queues.add(
          new SubmissionQueue(id, completionQueueId, entryCount, in.getLong(), in.getLong()));
    }
    return List.copyOf(queues);
  }

  private static List<CommandError> errors(final ByteBuffer in, final int count) {
    final List<CommandError> errors = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      final int queueId = in.getInt();
      final int commandId = in.getInt();
      final int status = in.getInt();
      final int location = in.getInt();
      errors.add(new CommandError(queueId, commandId, status, location, in.getLong(), in.getInt()));
      ImageRules.requireZero(in.getInt());
    }
    return List.copyOf(errors);
  }

  private static List<ShownNamespace> namespaces(final ByteBuffer in, final int count) {
    final List<ShownNamespace> namespaces = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      final int id = in.getInt();
      final int blockBytes = in.getInt();
      final int flags = in.getInt();
      ImageRules.require(
          (flags & ~1) == 0,
          "unknown flags of namespace " + id + ": 0x" + Integer.toHexString(flags));
      final int errorRecovery = in.getInt();
      final Namespace namespace =
          new Namespace(
              id, in.getLong(), blockBytes, flags != 0, new UUID(in.getLong(), in.getLong()));
      namespaces.add(new ShownNamespace(namespace, errorRecovery));
    }
    return List.copyOf(namespaces);
  }

  /** The namespaces, those of the list with the identifiers that it has for them. */
  private static List<ShownNamespace> withOwnIds(
      final ByteBuffer in, final List<ShownNamespace> namespaces, final int count) {
    final List<ShownNamespace> identified = new ArrayList<>(namespaces);
    int next = 0;
    for (int i = 0; i < count; i++) {
      final int id = in.getInt();
      ImageRules.requireZero(in.getInt());
      while (next < identified.size() && identified.get(next).id() != id) {
        next++;
      }
      ImageRules.require(
          next < identified.size(),
          "own identifiers of namespace " + id + ", out of order or gone");
      final ShownNamespace shown = identified.get(next);
      final Namespace namespace = shown.namespace();
      final NamespaceIds ids =
          new NamespaceIds(
              namespace.ids().uuid(), new UUID(in.getLong(), in.getLong()), in.getLong());
      ImageRules.require(ids.hasOwn(), "own identifiers of namespace " + id + " are none");
      identified.set(
          next++,
          new ShownNamespace(
              new Namespace(
                  id, namespace.blockCount(), namespace.blockBytes(), namespace.isReadOnly(), ids),
              shown.errorRecovery()));
    }
    return List.copyOf(identified);
  }

  private static int[] getInts(final ByteBuffer in, final int count) {
    final int[] values = new int[count];
    for (int i = 0; i < count; i++) {
      values[i] = in.getInt();
    }
    return values;
  }

  private static List<Long> getLongs(final ByteBuffer in, final int count) {
    final List<Long> values = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      values.add(in.getLong());
    }
    return List.copyOf(values);
  }

  private static List<Integer> list(final int[] values) {
    final List<Integer> all = new ArrayList<>(values.length);
    for (final int value : values) {
      all.add(value);
    }
    return List.copyOf(all);
  }
}
