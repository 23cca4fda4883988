package io.virtnvme.slave.nvme;

import java.util.List;
import java.util.Objects;

/**
 * All that outlives the process of a controller: what its image says. Immutable. Reactors start
 * queues from it.
 */
public final class ControllerState {
  private final RegisterState registers;
  private final QueueTable queues;
  private final FeatureState features;
  private final EventState events;
  private final ErrorLog errors;
  private final List<ShownNamespace> namespaces;
  private final ExecutedCommand executed;
  private final long shadowDoorbellAddress;
  private final long eventIndexAddress;
  private final long createdMs;
  private final long unsafeShutdowns;

  ControllerState(
      final RegisterState registers,
      final QueueTable queues,
      final FeatureState features,
      final EventState events,
      final ErrorLog errors,
      final List<ShownNamespace> namespaces,
      final ExecutedCommand executed,
      final long shadowDoorbellAddress,
      final long eventIndexAddress,
      final long createdMs,
      final long unsafeShutdowns) {
    this.registers = registers;
    this.queues = queues;
    this.features = features;
    this.events = events;
    this.errors = errors;
    this.namespaces = namespaces;
    this.executed = executed;
    this.shadowDoorbellAddress = shadowDoorbellAddress;
    this.eventIndexAddress = eventIndexAddress;
    this.createdMs = createdMs;
    this.unsafeShutdowns = unsafeShutdowns;
  }

  static ControllerState initial(final List<ShownNamespace> namespaces, final long createdMs) {
    return new ControllerState(
        RegisterState.INITIAL,
        QueueTable.EMPTY,
        FeatureState.DEFAULT,
        EventState.INITIAL,
        ErrorLog.EMPTY,
        namespaces,
        null,
        0,
        0,
        createdMs,
        0);
  }

  /** CSTS.CFS: whatever queues exist, none runs until the driver resets the controller. */
  public boolean isFatal() {
    return registers.isFatal();
  }

  /** The completion queues that exist, by id; the admin queue has id 0. */
  public List<CompletionQueue> completionQueues() {
    return queues.completionQueues();
  }

  /** The submission queues that exist, by id; each one's completion queue exists. */
  public List<SubmissionQueue> submissionQueues() {
    return queues.submissionQueues();
  }

  /** Guest address of the shadow doorbell page, or 0. */
  public long shadowDoorbellAddress() {
    return shadowDoorbellAddress;
  }

  /** Guest address of the event index page, or 0. */
  public long eventIndexAddress() {
    return eventIndexAddress;
  }

  /** Whether a write may be on the medium later than its completion. */
  public boolean isWriteCacheOn() {
    return features.writeCache() != 0;
  }

  RegisterState registers() {
    return registers;
  }

  QueueTable queues() {
    return queues;
  }

  FeatureState features() {
    return features;
  }

  EventState events() {
    return events;
  }

  ErrorLog errors() {
    return errors;
  }

  List<ShownNamespace> namespaces() {
    return namespaces;
  }

  /** The namespace with an id, or null. */
  ShownNamespace namespace(final int id) {
    for (final ShownNamespace shown : namespaces) {
      if (shown.id() == id) {
        return shown;
      }
    }
    return null;
  }

  /** The last admin command executed since the admin queue was started, or null. */
  ExecutedCommand executed() {
    return executed;
  }

  /** When the session began, milliseconds since 1970. */
  long createdMs() {
    return createdMs;
  }

  long unsafeShutdowns() {
    return unsafeShutdowns;
  }

  ControllerState with(final RegisterState newRegisters) {
    return new ControllerState(
        newRegisters,
        queues,
        features,
        events,
        errors,
        namespaces,
        executed,
        shadowDoorbellAddress,
        eventIndexAddress,
        createdMs,
        unsafeShutdowns);
  }

  ControllerState with(final QueueTable newQueues) {
    return new ControllerState(
        registers,
        newQueues,
        features,
        events,
        errors,
        namespaces,
        executed,
        shadowDoorbellAddress,
        eventIndexAddress,
        createdMs,
        unsafeShutdowns);
  }

  ControllerState with(final FeatureState newFeatures) {
    return new ControllerState(
        registers,
        queues,
        newFeatures,
        events,
        errors,
        namespaces,
        executed,
        shadowDoorbellAddress,
        eventIndexAddress,
        createdMs,
        unsafeShutdowns);
  }

  ControllerState with(final EventState newEvents) {
    return new ControllerState(
        registers,
        queues,
        features,
        newEvents,
        errors,
        namespaces,
        executed,
        shadowDoorbellAddress,
        eventIndexAddress,
        createdMs,
        unsafeShutdowns);
  }

  ControllerState with(final ErrorLog newErrors) {
    return new ControllerState(
        registers,
        queues,
        features,
        events,
        newErrors,
        namespaces,
        executed,
        shadowDoorbellAddress,
        eventIndexAddress,
        createdMs,
        unsafeShutdowns);
  }

  ControllerState withNamespaces(final List<ShownNamespace> newNamespaces) {
    return new ControllerState(
        registers,
        queues,
        features,
        events,
        errors,
        newNamespaces,
        executed,
        shadowDoorbellAddress,
        eventIndexAddress,
        createdMs,
        unsafeShutdowns);
  }

  ControllerState with(final ExecutedCommand newExecuted) {
    return new ControllerState(
        registers,
        queues,
        features,
        events,
        errors,
        namespaces,
        newExecuted,
        shadowDoorbellAddress,
        eventIndexAddress,
        createdMs,
        unsafeShutdowns);
  }

  ControllerState withShadowDoorbells(final long shadowAddress, final long indexAddress) {
    return new ControllerState(
        registers,
        queues,
        features,
        events,
        errors,
        namespaces,
        executed,
        shadowAddress,
        indexAddress,
        createdMs,
        unsafeShutdowns);
  }

  ControllerState withUnsafeShutdown() {
    return new ControllerState(
        registers,
        queues,
        features,
        events,
        errors,
        namespaces,
        executed,
        shadowDoorbellAddress,
        eventIndexAddress,
        createdMs,
        unsafeShutdowns + 1);
  }

  /**
   * What a controller reset leaves (base specification 2.0, 3.7.2): no queues, no requests for
   * events, features at their defaults. The registers are the caller's.
   */
  ControllerState reset() {
    return new ControllerState(
        registers,
        queues.cleared(),
        FeatureState.DEFAULT,
        EventState.INITIAL,
        errors,
        namespaces.stream().map(shown -> new ShownNamespace(shown.namespace(), 0)).toList(),
        null,
        0,
        0,
        createdMs,
        unsafeShutdowns);
  }

  @Override
  public boolean equals(final Object other) {
    return other instanceof ControllerState that
        && registers.equals(that.registers)
        && queues.equals(that.queues)
        && features.equals(that.features)
        && events.equals(that.events)
        && errors.equals(that.errors)
        && namespaces.equals(that.namespaces)
        && Objects.equals(executed, that.executed)
        && shadowDoorbellAddress == that.shadowDoorbellAddress
        && eventIndexAddress == that.eventIndexAddress
        && createdMs == that.createdMs
        && unsafeShutdowns == that.unsafeShutdowns;
  }

  @Override
  public int hashCode() {
    return Objects.hash(registers, queues, features, events, errors, namespaces, executed);
  }
}
