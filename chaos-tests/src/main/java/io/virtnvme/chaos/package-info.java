/**
 * Runs a real pair (master, slaves, standby) in processes of its own, kills them, and plays sound
 * and hostile front-ends against it. Each class is used by the test's thread unless it says
 * otherwise.
 */
package io.virtnvme.chaos;
