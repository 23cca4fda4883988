package io.virtnvme.slave.nvme;

import static io.virtnvme.ipc.nvme.SubmissionEntry.DWORD10_OFFSET;
import static io.virtnvme.ipc.nvme.SubmissionEntry.DWORD11_OFFSET;
import static io.virtnvme.ipc.nvme.SubmissionEntry.NAMESPACE_ID_OFFSET;

import io.virtnvme.ipc.nvme.FeatureId;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import java.util.List;

/**
 * Get and Set Features (NVM Express base specification 2.0, 5.15 and 5.27; NVM command set
 * specification 1.0, 4.1.3). Nothing can be saved: a reset brings the defaults. Functions of state
 * and command.
 */
final class Features {
  /** Features that there are, ascending. */
  static final List<Integer> SUPPORTED =
      List.of(
          FeatureId.ARBITRATION,
          FeatureId.POWER_MANAGEMENT,
          FeatureId.TEMPERATURE_THRESHOLD,
          FeatureId.ERROR_RECOVERY,
          FeatureId.VOLATILE_WRITE_CACHE,
          FeatureId.NUMBER_OF_QUEUES,
          FeatureId.INTERRUPT_COALESCING,
          FeatureId.INTERRUPT_VECTOR_CONFIG,
          FeatureId.WRITE_ATOMICITY,
          FeatureId.ASYNC_EVENT_CONFIG);

  private static final int ID_MASK = 0xFF;
  private static final int SAVE = 1 << 31;
  private static final int SELECT_SHIFT = 8;
  private static final int SELECT_MASK = 7;
  private static final int SELECT_CURRENT = 0;
  private static final int SELECT_SAVED = 2;
  private static final int SELECT_CAPABILITIES = 3;
  private static final int CAPABILITY_NAMESPACE = 2;
  private static final int CAPABILITY_CHANGEABLE = 4;

  private static final int HALF_MASK = 0xFFFF;
  private static final int HALF_SHIFT = 16;
  private static final int SENSOR_SHIFT = 16;
  private static final int SENSOR_MASK = 0xF;
  private static final int SENSOR_COMPOSITE = 0;
  private static final int SENSOR_ALL = 0xF;
  private static final int THRESHOLD_SHIFT = 20;
  private static final int THRESHOLD_MASK = 3;
  private static final int THRESHOLD_OVER = 0;
  private static final int THRESHOLD_UNDER = 1;
  private static final int POWER_STATE_MASK = 0x1F;
  private static final int POWER_KNOWN = 0xFF;
  private static final int DEALLOCATED_ERROR = 1 << 16;
  private static final int VECTOR_UNCOALESCED = 1 << 16;
  private static final int COALESCING_KNOWN = 0xFFFF;
  private static final int WARNING_TEMPERATURE_EVENT = 1 << 1;

  private final ControllerConfig config;

  Features(final ControllerConfig config) {
    this.config = config;
  }

  Decision get(final ControllerState state, final AdminCommand command) {
    final int id = command.dword10() & ID_MASK;
    final int select = (command.dword10() >>> SELECT_SHIFT) & SELECT_MASK;
    if (!SUPPORTED.contains(id)) {
      return Decision.refuse(Status.INVALID_FIELD, DWORD10_OFFSET);
    }
    if (select > SELECT_CAPABILITIES) {
      return Decision.refuse(
          Status.INVALID_FIELD, AdminCommand.location(DWORD10_OFFSET, SELECT_SHIFT));
    }
    if (select == SELECT_CAPABILITIES) {
      return Decision.succeed(
          CAPABILITY_CHANGEABLE | (id == FeatureId.ERROR_RECOVERY ? CAPABILITY_NAMESPACE : 0));
    }
    // What cannot be saved has its default as saved value (5.15, select field).
    final boolean isDefault = select != SELECT_CURRENT && select <= SELECT_SAVED;
    final FeatureState features = isDefault ? FeatureState.DEFAULT : state.features();
    return switch (id) {
      case FeatureId.ARBITRATION -> Decision.succeed(features.arbitration());
      case FeatureId.POWER_MANAGEMENT -> Decision.succeed(features.powerManagement());
      case FeatureId.TEMPERATURE_THRESHOLD -> getTemperature(features, command);
      case FeatureId.ERROR_RECOVERY -> getErrorRecovery(state, command, isDefault);
      case FeatureId.VOLATILE_WRITE_CACHE -> Decision.succeed(features.writeCache());
      case FeatureId.NUMBER_OF_QUEUES -> Decision.succeed(queueCounts());
      case FeatureId.INTERRUPT_COALESCING -> Decision.succeed(features.coalescing());
      case FeatureId.INTERRUPT_VECTOR_CONFIG -> getVector(features, command);
      case FeatureId.WRITE_ATOMICITY -> Decision.succeed(features.writeAtomicity());
      default -> Decision.succeed(features.asyncEvents());
    };
  }

  private static Decision getTemperature(final FeatureState features, final AdminCommand command) {
    final int sensor = (command.dword11() >>> SENSOR_SHIFT) & SENSOR_MASK;
    final int which = (command.dword11() >>> THRESHOLD_SHIFT) & THRESHOLD_MASK;
    if (sensor != SENSOR_COMPOSITE) {
      return Decision.refuse(
          Status.INVALID_FIELD, AdminCommand.location(DWORD11_OFFSET, SENSOR_SHIFT));
    }
    if (which > THRESHOLD_UNDER) {
      return Decision.refuse(
          Status.INVALID_FIELD, AdminCommand.location(DWORD11_OFFSET, THRESHOLD_SHIFT));
    }
    return Decision.succeed(
        which == THRESHOLD_OVER ? features.temperatureOver() : features.temperatureUnder());
  }

  private Decision getErrorRecovery(
      final ControllerState state, final AdminCommand command, final boolean isDefault) {
    final Decision refusal = refuseNamespace(state, command, false);
    if (refusal != null) {
      return refusal;
    }
    return Decision.succeed(isDefault ? 0 : state.namespace(command.namespaceId()).errorRecovery());
  }

  private Decision getVector(final FeatureState features, final AdminCommand command) {
    final int vector = command.dword11() & HALF_MASK;
    if (vector >= config.vectorCount()) {
      return Decision.refuse(Status.INVALID_FIELD, DWORD11_OFFSET);
    }
    return Decision.succeed(
        vector | (features.uncoalesced().contains(vector) ? VECTOR_UNCOALESCED : 0));
  }

  /** Number of Queues: as many as there are, whatever was asked for; 0's based. */
  private int queueCounts() {
    return (config.queuePairsMax() - 1) | ((config.queuePairsMax() - 1) << HALF_SHIFT);
  }

  Decision set(final ControllerState state, final AdminCommand command) {
    final int id = command.dword10() & ID_MASK;
    if (!SUPPORTED.contains(id)) {
      return Decision.refuse(Status.INVALID_FIELD, DWORD10_OFFSET);
    }
    if ((command.dword10() & SAVE) != 0) {
      return Decision.refuse(
          Status.FEATURE_NOT_SAVEABLE, AdminCommand.location(DWORD10_OFFSET, 31));
    }
    if (id != FeatureId.ERROR_RECOVERY && !command.isForController()) {
      return Decision.refuse(Status.FEATURE_NOT_NAMESPACE_SPECIFIC, NAMESPACE_ID_OFFSET);
    }
    final int value = command.dword11();
    return switch (id) {
      case FeatureId.ARBITRATION -> change(state.features().withArbitration(value));
      case FeatureId.POWER_MANAGEMENT -> setPower(state, value);
      case FeatureId.TEMPERATURE_THRESHOLD -> setTemperature(state, value);
      case FeatureId.ERROR_RECOVERY -> setErrorRecovery(state, command);
      case FeatureId.VOLATILE_WRITE_CACHE -> setWriteCache(state, value);
      case FeatureId.NUMBER_OF_QUEUES -> setQueueCount(state, value);
      case FeatureId.INTERRUPT_COALESCING ->
          change(state.features().withCoalescing(value & COALESCING_KNOWN));
      case FeatureId.INTERRUPT_VECTOR_CONFIG -> setVector(state, value);
      case FeatureId.WRITE_ATOMICITY -> change(state.features().withWriteAtomicity(value & 1));
      default -> change(state.features().withAsyncEvents(value));
    };
  }

  private static Decision change(final FeatureState features) {
    return Decision.succeed(0).changing(current -> current.with(features));
  }

  private static Decision setPower(final ControllerState state, final int value) {
    return (value & POWER_STATE_MASK) != 0
        ? Decision.refuse(Status.INVALID_FIELD, DWORD11_OFFSET)
        : change(state.features().withPowerManagement(value & POWER_KNOWN));
  }

  private static Decision setTemperature(final ControllerState state, final int value) {
    final int sensor = (value >>> SENSOR_SHIFT) & SENSOR_MASK;
    final int which = (value >>> THRESHOLD_SHIFT) & THRESHOLD_MASK;
    final int kelvin = value & HALF_MASK;
    if (sensor != SENSOR_COMPOSITE && sensor != SENSOR_ALL) {
      return Decision.refuse(
          Status.INVALID_FIELD, AdminCommand.location(DWORD11_OFFSET, SENSOR_SHIFT));
    }
    if (which > THRESHOLD_UNDER) {
      return Decision.refuse(
          Status.INVALID_FIELD, AdminCommand.location(DWORD11_OFFSET, THRESHOLD_SHIFT));
    }
    final FeatureState before = state.features();
    final FeatureState after =
        which == THRESHOLD_OVER
            ? before.withTemperatures(kelvin, before.temperatureUnder())
            : before.withTemperatures(before.temperatureOver(), kelvin);
    return Decision.succeed(0)
        .changing(
            current -> {
              final ControllerState changed = current.with(after);
              return isTemperatureBeyond(after)
                      && (after.asyncEvents() & WARNING_TEMPERATURE_EVENT) != 0
                  ? changed.with(changed.events().withEvent(EventType.TEMPERATURE))
                  : changed;
            });
  }

  /** Whether a threshold makes the temperature a critical warning. */
  static boolean isTemperatureBeyond(final FeatureState features) {
    return IdentifyData.TEMPERATURE_KELVIN >= features.temperatureOver()
        || IdentifyData.TEMPERATURE_KELVIN <= features.temperatureUnder();
  }

  private Decision setErrorRecovery(final ControllerState state, final AdminCommand command) {
    final Decision refusal = refuseNamespace(state, command, true);
    if (refusal != null) {
      return refusal;
    }
    final int value = command.dword11() & (HALF_MASK | DEALLOCATED_ERROR);
    if ((value & DEALLOCATED_ERROR) != 0) {
      // NSFEAT does not offer errors for deallocated blocks.
      return Decision.refuse(
          Status.INVALID_FIELD, AdminCommand.location(DWORD11_OFFSET, HALF_SHIFT));
    }
    final int id = command.namespaceId();
    return Decision.succeed(0)
        .changing(
            current ->
                current.withNamespaces(
                    current.namespaces().stream()
                        .map(
                            shown ->
                                id == SubmissionEntry.NAMESPACE_ALL || shown.id() == id
                                    ? new ShownNamespace(shown.namespace(), value)
                                    : shown)
                        .toList()));
  }

  private Decision refuseNamespace(
      final ControllerState state, final AdminCommand command, final boolean isAllAllowed) {
    final int id = command.namespaceId();
    if (id == SubmissionEntry.NAMESPACE_ALL && isAllAllowed) {
      return null;
    }
    if (id < 1 || id > config.namespaceIdMax()) {
      return Decision.refuse(Status.INVALID_NAMESPACE_OR_FORMAT, NAMESPACE_ID_OFFSET);
    }
    return state.namespace(id) == null
        ? Decision.refuse(Status.INVALID_FIELD, NAMESPACE_ID_OFFSET)
        : null;
  }

  private static Decision setWriteCache(final ControllerState state, final int value) {
    final boolean isOn = (value & 1) != 0;
    return change(state.features().withWriteCache(isOn ? 1 : 0))
        .after((host, whenDone) -> host.writeCache(isOn, whenDone));
  }

  private Decision setQueueCount(final ControllerState state, final int value) {
    if ((value & HALF_MASK) == HALF_MASK) {
      return Decision.refuse(Status.INVALID_FIELD, DWORD11_OFFSET);
    }
    if (value >>> HALF_SHIFT == HALF_MASK) {
      return Decision.refuse(
          Status.INVALID_FIELD, AdminCommand.location(DWORD11_OFFSET, HALF_SHIFT));
    }
    if (state.queues().hasIoQueues()) {
      return Decision.refuse(Status.COMMAND_SEQUENCE_ERROR, CommandError.NO_LOCATION);
    }
    return Decision.succeed(queueCounts());
  }

  private Decision setVector(final ControllerState state, final int value) {
    final int vector = value & HALF_MASK;
    if (vector >= config.vectorCount()) {
      return Decision.refuse(Status.INVALID_FIELD, DWORD11_OFFSET);
    }
    return change(state.features().withVector(vector, (value & VECTOR_UNCOALESCED) == 0));
  }
}
