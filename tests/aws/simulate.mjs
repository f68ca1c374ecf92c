// Decides IAM requests by policies: a list of requests as JSON on stdin, a list of decisions on stdout.
import { runSimulation } from '@cloud-copilot/iam-simulate';

let input = '';
for await (const chunk of process.stdin) {
  input += chunk;
}

const decisions = [];
for (const request of JSON.parse(input)) {
  const result = await runSimulation(
    {
      request: {
        principal: request.principal,
        action: request.action,
        resource: { resource: request.resource, accountId: request.account },
        contextVariables: request.context,
      },
      identityPolicies: request.identityPolicies,
      resourcePolicy: request.resourcePolicy ?? undefined,
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    },
    {},
  );
  decisions.push(result.resultType === 'error' ? `error: ${JSON.stringify(result.errors)}` : result.overallResult);
}
process.stdout.write(JSON.stringify(decisions));
