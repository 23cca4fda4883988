package io.virtnvme.slave.nvme;

import java.util.ArrayList;
import java.util.List;

/**
 * The current values of the features of the controller, as dword 11 of Set Features has them;
 * immutable. A controller reset brings the defaults back.
 *
 * @param temperatureOver composite temperature threshold, kelvin
 * @param temperatureUnder the other one
 * @param writeCache Volatile Write Cache
 * @param coalescing Interrupt Coalescing: a hint that this controller does not need
 * @param uncoalesced interrupt vectors with coalescing disabled, ascending
 */
record FeatureState(
    int arbitration,
    int powerManagement,
    int temperatureOver,
    int temperatureUnder,
    int writeCache,
    int coalescing,
    List<Integer> uncoalesced,
    int writeAtomicity,
    int asyncEvents) {
  static final FeatureState DEFAULT =
      new FeatureState(0, 0, IdentifyData.WARNING_TEMPERATURE_KELVIN, 0, 1, 0, List.of(), 0, 0);

  FeatureState withArbitration(final int value) {
    return new FeatureState(
        value,
        powerManagement,
        temperatureOver,
        temperatureUnder,
        writeCache,
        coalescing,
        uncoalesced,
        writeAtomicity,
        asyncEvents);
  }

  FeatureState withPowerManagement(final int value) {
    return new FeatureState(
        arbitration,
        value,
        temperatureOver,
        temperatureUnder,
        writeCache,
        coalescing,
        uncoalesced,
        writeAtomicity,
        asyncEvents);
  }

  FeatureState withTemperatures(final int over, final int under) {
    return new FeatureState(
        arbitration,
        powerManagement,
        over,
        under,
        writeCache,
        coalescing,
        uncoalesced,
        writeAtomicity,
        asyncEvents);
  }

  FeatureState withWriteCache(final int value) {
    return new FeatureState(
        arbitration,
        powerManagement,
        temperatureOver,
        temperatureUnder,
        value,
        coalescing,
        uncoalesced,
        writeAtomicity,
        asyncEvents);
  }

  FeatureState withCoalescing(final int value) {
    return new FeatureState(
        arbitration,
        powerManagement,
        temperatureOver,
        temperatureUnder,
        writeCache,
        value,
        uncoalesced,
        writeAtomicity,
        asyncEvents);
  }

  FeatureState withVector(final int vector, final boolean isCoalesced) {
    final List<Integer> vectors = new ArrayList<>(uncoalesced);
    vectors.remove((Integer) vector);
    if (!isCoalesced) {
      vectors.add(vector);
      vectors.sort(null);
    }
    return new FeatureState(
        arbitration,
        powerManagement,
        temperatureOver,
        temperatureUnder,
        writeCache,
        coalescing,
        List.copyOf(vectors),
        writeAtomicity,
        asyncEvents);
  }

  FeatureState withWriteAtomicity(final int value) {
    return new FeatureState(
        arbitration,
        powerManagement,
        temperatureOver,
        temperatureUnder,
        writeCache,
        coalescing,
        uncoalesced,
        value,
        asyncEvents);
  }

  FeatureState withAsyncEvents(final int value) {
    return new FeatureState(
        arbitration,
        powerManagement,
        temperatureOver,
        temperatureUnder,
        writeCache,
        coalescing,
        uncoalesced,
        writeAtomicity,
        value);
  }
}
